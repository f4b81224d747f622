/**
 * The sign-in that this browser keeps for the instance that its pages come from: in localStorage, under
 * `syncropel.credential`, as the JSON of this. Every page of the instance reads it there.
 */
export interface Credential {
  token: string;
  account: string;
  /** Null for a token that was pasted. */
  device: string | null;
  scopes: string[];
  instance_did: string;
}

const KEY = "syncropel.credential";

export function loadCredential(): Credential | null {
  try {
    const text = localStorage.getItem(KEY);
    return text === null ? null : (JSON.parse(text) as Credential);
  } catch {
    return null;
  }
}

export function saveCredential(credential: Credential): void {
  localStorage.setItem(KEY, JSON.stringify(credential));
}

export function forgetCredential(): void {
  localStorage.removeItem(KEY);
}

/** Calls when another page of this browser signs in or out. */
export function onCredentialChange(run: () => void): void {
  window.addEventListener("storage", ({ key }) => {
    if (key === KEY || key === null) run();
  });
}

/** Whether something can be kept here at all: a browser may forbid it, and then a code would be wasted. */
export function canKeep(): boolean {
  const probe = `${KEY}.probe`;
  try {
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return true;
  } catch {
    return false;
  }
}
