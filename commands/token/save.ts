import { SplError } from "../../lib/base/errors.ts";
import { signInAt } from "../../lib/client/sign_in.ts";
import { resolveAddress } from "../../lib/client/target.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { promptSecret } from "../../lib/ui/prompt.ts";
import { type Context, defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { tellShadowed } from "../_own_token.ts";
import { tokenFacts } from "../_rights.ts";

/** More than any token has: whoever pipes in something else is told so without all of it being read. */
const MAX_INPUT = 16 * 1024;

const command = defineSpl({
  name: "token save",
  summary: "Sign in: keep a token for the address that commands talk to",
  description:
    "The instance is asked first. A bootstrap token is traded for a lasting one, which is kept in its stead; when the\nanswer is lost on the way, the same command finishes the trade. What is kept goes to this address only.",
  args: {
    token: {
      type: "positional",
      required: false,
      description: "the token, or - for standard input (on a terminal it is asked for, without showing it)",
    },
    ...targetArgs,
  },
  examples: [
    "spl token save spl_boot_…",
    "spl token save --url https://box.example.com:9100",
    'printf %s "$TOKEN" | spl token save -',
  ],
  run: async (ctx, { token, url }) => {
    const address = resolveAddress({ url }, ctx.env);
    if (address.socket !== null) {
      throw new SplError("usage", "the local daemon is reached by its socket, which needs no token", {
        hint: "name the instance that the token is for with --url or SPL_SERVE_URL",
      });
    }
    const saved = await signInAt(address, await readToken(ctx, token), ctx.env);
    await printResult(
      ctx,
      { url: address.url, ...saved },
      () => `✓ token saved for ${address.url}\n${renderFacts(tokenFacts(saved))}`,
    );
    await tellShadowed(ctx);
  },
});

async function readToken(ctx: Context, given: string | undefined): Promise<string> {
  if (given !== undefined && given !== "-") return given;
  const hint = "type 'spl token save TOKEN', or 'spl token save -' with the token on standard input";
  const { interactive } = ctx;
  const told = given === "-" && !interactive ? readInput() : promptSecret("Token", { interactive, hint });
  const token = (await told).trim();
  if (token === "") throw new SplError("usage", "no token came", { hint });
  return token;
}

async function readInput(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_INPUT) break;
  }
  return text;
}

export default command;
if (import.meta.main) await runAlone(command);
