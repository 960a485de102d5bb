// Sends a large file in parts, and shows how much has been sent. A part is sent again when the connection drops. What was
// sent is kept, so that the same file goes on where it broke off.
(() => {
  const tries = 6;
  const json = { "content-type": "application/json" };
  let kept = { ids: [] };

  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  const say = (...content) => {
    const message = document.createElement("div");
    message.setAttribute("role", "alert");
    message.append(...content);
    document.getElementById("messages").replaceChildren(message);
  };

  const post = async (address, body, headers = {}) => {
    for (let attempt = 1; ; attempt++) {
      const asked = fetch(address, { method: "POST", body, headers: { "hx-request": "true", ...headers } });
      const [answer, content] = await asked.then(async (each) => [each, each.ok && (await each.json())]).catch(() => []);
      if (content) return content;
      const mayPass = !answer || answer.status === 429 || answer.status >= 500;
      if (!mayPass || attempt === tries) throw answer;
      await pause(Math.min(30, Number(answer?.headers.get("retry-after")) || 2 ** attempt / 4));
    }
  };

  const sendParts = async (file, size, address, sent) => {
    const isSame = kept.file && ["name", "size", "lastModified"].every((each) => kept.file[each] === file[each]);
    if (!isSame) {
      const asked = { filename: file.name, bytes: file.size, purpose: "fine-tune", mime_type: "application/jsonl" };
      kept = { file, ids: [], id: (await post(address, JSON.stringify(asked), json)).id };
    }
    while (kept.ids.length * size < file.size) {
      const start = kept.ids.length * size;
      const part = new FormData();
      part.append("data", file.slice(start, start + size), "part");
      kept.ids.push((await post(`${address}/${kept.id}/parts`, part)).id);
      sent(Math.min(1, (start + size) / file.size));
    }
    return post(`${address}/${kept.id}/complete`, JSON.stringify({ part_ids: kept.ids }), json);
  };

  const sendLarge = async (form, bar, file) => {
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const done = await sendParts(file, Number(bar.dataset.partBytes), bar.dataset.upload, (share) => { bar.value = share; });
      location.assign(`${bar.dataset.shown}/${done.file.id}`);
    } catch (answer) {
      button.disabled = false;
      if (answer instanceof Error) return say(`The upload stopped: ${answer.message}.`);
      if (answer?.status === 401) return location.reload();
      if (!answer || answer.status === 429 || answer.status >= 500) {
        const percent = Math.floor(bar.value * 100);
        return say(`The connection broke off after ${percent} % of the file. Press the button again to send the rest.`);
      }
      kept = { ids: [] };
      const part = new DOMParser().parseFromString(await answer.text().catch(() => "The connection broke off."), "text/html");
      say(part.body.textContent.trim());
    }
  };

  document.addEventListener("submit", (event) => {
    const bar = event.target.querySelector("progress[data-upload]");
    const file = bar && event.target.querySelector("input[type=file]").files[0];
    if (!file || file.size <= Number(bar.dataset.partBytes)) return; // the browser sends the form
    event.preventDefault();
    bar.hidden = false;
    document.getElementById("messages").replaceChildren();
    sendLarge(event.target, bar, file);
  });
})();
