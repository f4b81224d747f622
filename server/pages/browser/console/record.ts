import type { Envelope } from "../../../../lib/api/wire.ts";
import { safeJson } from "../../../../lib/base/safe_text.ts";
import { copyable, facts, fill, make } from "../dom.ts";
import type { Row } from "./listing.ts";
import { cut } from "./threads.ts";
import { chip, moment, shortDid, shortId } from "./words.ts";

/** What a body says first, by the conventions that the folds read (spec, section 2). */
const SPOKEN = ["goal", "text", "topic", "title", "name", "fulfills", "cancels"];
const PREVIEW = 200;

export interface RecordFacts {
  /** The instance's own DID. */
  self: string;
  /** Ids of records that share their position with others. */
  forked: ReadonlySet<string>;
}

/** A record in a line; what it holds is made when it is opened. */
export function recordRow(facts: () => RecordFacts): Row<Envelope> {
  const summary = make("summary");
  const inside = make("div", { class: "inside" });
  const details = make("details", {}, summary, inside);
  let shown: Envelope;
  details.addEventListener("toggle", () => {
    if (details.open && inside.childElementCount === 0) fill(inside, ...contents(shown));
  });
  return {
    node: make("li", { class: "record" }, details),
    show(envelope) {
      shown = envelope;
      fill(summary, ...line(envelope, facts()));
    },
  };
}

function line({ id, signer, record }: Envelope, { self, forked }: RecordFacts): Node[] {
  const { act, actor, clock, body } = record;
  return [
    make(
      "span",
      { class: "said" },
      make("span", { class: "verb" }, act),
      " ",
      make("bdi", {}, preview(body)),
    ),
    make(
      "span",
      { class: "meta" },
      make("span", {}, `clock ${clock}`),
      make("span", {}, shortDid(actor)),
      typeof body.at === "string" ? moment(body.at) : null,
      make("code", {}, shortId(id)),
      forked.has(id) ? chip("fork", "wrong") : null,
      signer === self ? null : chip(`signed by ${shortDid(signer)}`),
    ),
  ];
}

function preview(body: Record<string, unknown>): string {
  const spoken = SPOKEN.map((name) => [name, body[name]] as const).find(
    ([, value]) => typeof value === "string",
  );
  if (spoken === undefined) return cut(JSON.stringify(body), PREVIEW);
  const [name, text] = spoken as readonly [string, string];
  return name === "goal" || name === "text" ? cut(text, PREVIEW) : `${name}: ${cut(text, PREVIEW)}`;
}

function contents({ id, signer, sig, record }: Envelope): Node[] {
  const { actor, data_type, parents, judged_by } = record;
  return [
    make("pre", { tabindex: "0", role: "group", "aria-label": "Body" }, ...jsonLines(record.body)),
    facts([
      ["Id", copyable(id, "the record's id")],
      ["Actor", make("code", {}, actor)],
      ["Signer", make("code", {}, signer)],
      ["Signature", make("code", {}, sig)],
      ["Data type", data_type],
      [
        "Parents",
        parents.length === 0
          ? "none"
          : make("span", {}, ...parents.map((parent) => make("code", { class: "each" }, parent))),
      ],
      ["Judged by", judged_by],
    ]),
  ];
}

/** Indented JSON, whose line ends are the only control characters in it. */
function jsonLines(body: Record<string, unknown>): Node[] {
  const text = JSON.stringify(body, null, 2).split("\n").map(safeJson).join("\n");
  return [document.createTextNode(text)];
}
