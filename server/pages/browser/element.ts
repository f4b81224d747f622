/** The element of the page's own HTML with this id. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A new element around texts, which stay texts, and other elements. */
export function made(tag: string, ...content: (string | Node)[]): HTMLElement {
  const node = document.createElement(tag);
  node.append(...content);
  return node;
}
