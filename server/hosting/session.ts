import { SESSION_MS } from "../../lib/hosting/owners.ts";

/** The cookie of an owner's session (RFC 6265bis): no script reads it, no other site sends it, no other host sets it. */

/** Where there is TLS, the prefix has browsers refuse a cookie of this name that a subdomain sets. */
function nameFor(base: string): string {
  return base.startsWith("https:") ? "__Host-spl_owner" : "spl_owner";
}

/** The session's secret that a request shows, or null. */
export function sessionIn(request: Request, base: string): string | null {
  const prefix = `${nameFor(base)}=`;
  for (const part of (request.headers.get("cookie") ?? "").split(";")) {
    const pair = part.trim();
    if (pair.startsWith(prefix)) return pair.slice(prefix.length) || null;
  }
  return null;
}

/** A `Set-Cookie` value; null ends the session. */
export function sessionCookie(secret: string | null, base: string): string {
  const secure = base.startsWith("https:") ? "; Secure" : "";
  const age = secret === null ? 0 : SESSION_MS / 1000;
  return `${nameFor(base)}=${secret ?? ""}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${secure}`;
}
