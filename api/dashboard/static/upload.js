// Shows how much of a file has been sent: an upload by the browser's own form, or by fetch, does not tell.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const bar = form.querySelector("progress[data-upload]");
  if (!bar) return;
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.upload.onprogress = (sent) => { bar.value = sent.loaded / sent.total; };
  request.onload = () => {
    if (request.status < 400) return location.assign(request.responseURL);
    const answer = new DOMParser().parseFromString(request.responseText, "text/html");
    document.querySelector("main").replaceWith(answer.querySelector("main"));
  };
  request.onerror = () => form.submit();
  bar.hidden = false;
  request.send(new FormData(form));
});
