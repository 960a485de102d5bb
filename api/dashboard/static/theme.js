// Before anything is painted: the theme that was chosen on this device, if any. Else the system's applies.
(() => {
  const chosen = localStorage.getItem("tunery-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
