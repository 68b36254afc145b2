// The control API, and live events that connect again by themselves.

async function answered(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? response.statusText);
  return body;
}

export async function get(path) {
  return answered(await fetch(`/sandbox/api${path}`));
}

export async function call(verb, path, body = {}) {
  const options = { method: verb, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return answered(await fetch(`/sandbox/api${path}`, options));
}

export function upload(path, form, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/sandbox/api${path}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => (request.status < 300 ? resolve(request.response) : reject(new Error(request.response?.error ?? request.statusText)));
    request.onerror = () => reject(new Error("connection lost"));
    request.send(form);
  });
}

export function fileUrl(id) {
  return `/sandbox/files/${encodeURIComponent(id)}`;
}

export function listen(onEvent, onLost) {
  const source = new EventSource("/sandbox/events");
  source.onmessage = (event) => onEvent(JSON.parse(event.data));
  source.onerror = () => {
    onLost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(onEvent, onLost), 1000);
  };
}
