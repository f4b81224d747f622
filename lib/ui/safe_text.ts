/** The command line shows stored text by the same rule as the instance's own pages. */
export { safeJson, safeLines, safeText } from "../base/safe_text.ts";
