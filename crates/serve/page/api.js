// Requests to the server.

function address(path, params) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") search.append(name, one);
    }
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

async function request(path, params, signal) {
  const response = await fetch(address(path, params), { signal });
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try { message = JSON.parse(text).error ?? text; } catch { /* not ours */ }
  throw new Error(message || `the server answered ${response.status}`);
}

/** The JSON at an address; throws an Error with the server's sentence. */
export async function get(path, params, signal) {
  return (await request(path, params, signal)).json();
}

/** A matrix of effective weights: its description, and `cells`, a Float32Array by row. */
export async function matrix(params, signal) {
  const bytes = await (await request("/api/weights", params, signal)).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(bytes, 4, length));
  const start = Math.ceil((4 + length) / 4) * 4;
  return { ...JSON.parse(text), cells: new Float32Array(bytes, start) };
}

/**
 * Calls `tell` with every overview of the store, and `state` with whether the server is there. A tab
 * in the background does not follow: a browser has few connections to one server.
 */
export function follow(tell, state) {
  let source = null;
  const open = () => {
    source = new EventSource("/api/events");
    source.onopen = () => state(true);
    // The browser connects again by itself.
    source.onerror = () => state(false);
    source.onmessage = (event) => tell(JSON.parse(event.data));
  };
  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) open();
  });
  open();
}
