import { SplError } from "../base/errors.ts";

/**
 * Labels: the first part of an instance's name (spec, section 10). They become DNS labels (RFC 1035, section 2.3.1;
 * RFC 5891, section 4.2.3.1 for the hyphens), so only what every resolver spells in one way is taken.
 */

export const MIN_LABEL = 3;
export const MAX_LABEL_LENGTH = 32;

/** Names that a visitor would take for the service itself, or that machines look up by themselves. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["www", "api", "app", "apps", "admin", "administrator", "root", "system", "host", "hosting", "hosted"],
  ...["mail", "email", "smtp", "imap", "pop", "pop3", "webmail", "ftp", "sftp", "ssh", "vpn", "dns", "ntp"],
  ...[
    "ns1",
    "ns2",
    "ns3",
    "ns4",
    "mx1",
    "mx2",
    "cdn",
    "static",
    "assets",
    "media",
    "img",
    "files",
    "download",
  ],
  ...[
    "start",
    "first-run",
    "directory",
    "instances",
    "recover",
    "pair",
    "bundle",
    "console",
    "login",
    "logout",
  ],
  ...["signin", "signup", "sign-in", "sign-up", "account", "accounts", "auth", "oauth", "sso", "dashboard"],
  ...[
    "help",
    "support",
    "docs",
    "blog",
    "news",
    "about",
    "status",
    "health",
    "metrics",
    "billing",
    "pay",
    "legal",
  ],
  ...["security", "abuse", "postmaster", "hostmaster", "webmaster", "noc", "ssl-admin", "contact", "privacy"],
  ...["autoconfig", "autodiscover", "wpad", "isatap", "localhost", "local", "internal", "example", "invalid"],
  ...[
    "test",
    "staging",
    "production",
    "prod",
    "dev",
    "beta",
    "spl",
    "syncropel",
    "well-known",
    "null",
    "undefined",
  ],
]);

/**
 * A label that may be asked for, as it was typed.
 * @throws SplError invalid_request saying what is wrong with it
 */
export function checkLabel(text: string): string {
  const wrong = faultOf(text);
  if (wrong === null) return text;
  throw new SplError("invalid_request", `${shown(text)} cannot be a label: ${wrong}`, {
    hint: `choose another: ${MIN_LABEL} to ${MAX_LABEL_LENGTH} of a-z, 0-9 and -`,
  });
}

/** What keeps a text from being a label, or null. */
export function faultOf(text: string): string | null {
  const odd = [...text].find((char) => !/[a-z0-9-]/.test(char));
  if (odd !== undefined) {
    if (/[A-Z]/.test(odd)) return "it has capital letters";
    // Letters of other scripts look like ours: a label with one would pass for another's.
    if (odd > "~") return `${codePoint(odd)} is no letter of a-z, however it looks`;
    return odd === " " ? "it has a space" : `it has ${/[!-~]/.test(odd) ? odd : codePoint(odd)}`;
  }
  if (text.length < MIN_LABEL) return "it is too short";
  if (text.length > MAX_LABEL_LENGTH) return "it is too long";
  if (text.startsWith("-") || text.endsWith("-")) return "it begins or ends with a hyphen";
  // The form of internationalised names (RFC 5890, section 2.3.1): browsers would show another name.
  if (text.slice(2, 4) === "--") return "it has two hyphens where internationalised names have them";
  return RESERVED.has(text) ? "it is reserved" : null;
}

function codePoint(char: string): string {
  return `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Without what could pass for something else where an error is shown. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64)).replace(/[^ -~]/g, "?");
}
