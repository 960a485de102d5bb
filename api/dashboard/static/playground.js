// Keeps what is asked in the address, stops the stream of answers, and says of each answer that it did not end.
(() => {
  const form = document.querySelector("[data-asks]");
  const stop = form.querySelector("[data-stops]");
  const longest = 6000; // characters of an address
  let isStopped = false;

  const end = (article) => {
    const [model, prompt] = [article.dataset.model, article.dataset.prompt];
    const error = isStopped ? "You stopped it." : "The connection broke off: ask again.";
    const note = article.querySelector(".waiting") ?? article.appendChild(document.createElement("p"));
    note.className = isStopped ? "quiet" : "wrong";
    note.textContent = error;
    const record = document.createElement("input");
    Object.assign(record, { type: "hidden", name: "answer" });
    record.setAttribute("form", "results");
    record.value = JSON.stringify({ model, prompt, answer: article.querySelector(".said-by").textContent, error });
    article.append(record);
    article.setAttribute("aria-busy", "false");
  };

  form.addEventListener("htmx:sse:after:connection", () => {
    const asked = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value && name !== "file" && name !== "rows"));
    history.replaceState(null, "", `${asked}`.length > longest ? location.pathname : `?${asked}`);
    isStopped = false;
    stop.hidden = false;
  });
  form.addEventListener("htmx:sse:close", () => {
    stop.hidden = true;
    document.querySelectorAll('#answers [aria-busy="true"]').forEach(end);
  });
  stop.addEventListener("click", () => {
    isStopped = true;
    htmx.trigger(form, "htmx:abort");
  });
})();
