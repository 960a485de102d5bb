// Keeps which jobs are selected, also those that this page does not show: in the address, its links and its forms.
(() => {
  const boxes = () => [...document.querySelectorAll("[data-selects]")];
  const chosen = new Set(new URL(location).searchParams.getAll("job"));
  const carry = (fields) => (fields.delete("job"), chosen.forEach((id) => fields.append("job", id)));
  const carried = (address, url = new URL(address)) => (carry(url.searchParams), url.href);

  const note = () => {
    for (const box of boxes()) box.checked = chosen.has(box.value);
    const here = boxes().filter((box) => box.checked).length, elsewhere = chosen.size - here;
    if (carried(location) !== location.href) history.replaceState(null, "", carried(location));
    for (const link of document.querySelectorAll(".pagination a, .filters a")) link.href = carried(link.href);
    document.getElementById("selection").toggleAttribute("data-some", chosen.size > 0);
    document.querySelector("[data-selected]").textContent = `${chosen.size} selected${elsewhere ? `, ${elsewhere} not on this page` : ""}`;
    for (const each of document.querySelectorAll("[data-most]")) each.disabled = chosen.size < each.dataset.least || chosen.size > each.dataset.most;
    for (const all of document.querySelectorAll("[data-selects-all]")) all.checked = here > 0 && here === boxes().length;
  };

  document.addEventListener("change", ({ target }) => {
    const changed = target.matches("[data-selects]") ? [target] : target.matches("[data-selects-all]") ? boxes() : [];
    for (const box of changed) chosen[target.checked ? "add" : "delete"](box.value);
    if (changed.length) note();
  });
  document.addEventListener("formdata", (event) => event.target.matches(".filters, .selection") && carry(event.formData));
  document.addEventListener("htmx:after:swap", note);
  note();
})();
