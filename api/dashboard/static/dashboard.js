// What pages need beyond HTML and htmx: the theme, copying, dialogs, times that grow old, and the end of a session.
(() => {
  const isDark = () =>
    (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  const toggleTheme = () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("tunery-theme", theme);
    document.dispatchEvent(new Event("tunery:theme"));
  };

  const say = (textContent) =>
    document.getElementById("messages")?.replaceChildren(Object.assign(document.createElement("p"), { className: "said", textContent }));

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    say("Copied.");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-toggle], [data-copy], [data-opens], [data-closes]");
    if (!button) return;
    if ("themeToggle" in button.dataset) toggleTheme();
    else if (button.dataset.copy) copy(button).catch(() => say("The browser did not permit copying."));
    else if (button.dataset.opens) document.getElementById(button.dataset.opens).showModal();
    else button.closest("dialog").close();
  });

  const duration = (seconds) => {
    const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const index = Math.max(0, units.findIndex(([size]) => seconds >= size));
    const [size, unit] = units[seconds < 1 ? 3 : index];
    const [smaller, below] = units[index + 1] ?? [1, "s"];
    const less = Math.floor((seconds % size) / smaller);
    return `${Math.floor(seconds / size)} ${unit}${less && index < 3 ? ` ${less} ${below}` : ""}`;
  };

  const age = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const seconds = Math.round((Date.now() - Date.parse(time.dateTime)) / 1000);
      time.textContent = seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
    }
  };
  setInterval(() => document.hidden || age(), 15000);

  // htmx tries a stream again, but not its first request; and of one that is refused the page says why once it is loaded again.
  const isRefused = (status) => [401, 403, 404].includes(status);
  document.addEventListener("htmx:sse:error", ({ detail }) => isRefused(detail.status) && location.reload());
  const connectAgain = ({ target, detail: { ctx } }) => {
    const stream = target._htmx?.sse ? null : target.getAttribute?.("hx-sse:connect");
    if (stream && isRefused(ctx?.response?.status)) location.reload();
    else if (stream) setTimeout(() => target.isConnected && htmx.ajax("GET", stream, { source: target }), 2000), (ctx.swap = "none");
  };
  for (const failure of ["htmx:error", "htmx:response:error"]) document.addEventListener(failure, connectAgain);
  document.addEventListener("tunery:gone", () => location.reload());

  // Who signs out in one tab is signed out in all tabs of this browser, and in what its Back button shows.
  if (new URLSearchParams(location.search).get("reason") === "signed-out") localStorage.setItem("tunery-signed-out", Date.now());
  addEventListener("storage", (event) => {
    if (event.key === "tunery-signed-out" && document.querySelector("nav.pages")) location.reload();
  });
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
