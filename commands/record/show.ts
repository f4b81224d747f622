import { safeText } from "../../lib/base/safe_text.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "record show",
  summary: "Show one record with its signer",
  args: { id: { type: "positional", description: "the record's id, 64 hex" }, ...targetArgs },
  examples: ["spl record show <record id>", "spl record show <record id> -o json"],
  run: async (ctx, { id, url }) => {
    const envelope = await connect(ctx, { url }).record(id);
    await printResult(ctx, envelope, () => {
      const { record, signer, sig } = envelope;
      const facts: Fact[] = [
        ["thread", record.thread],
        ["actor", record.actor],
        ["act", record.act],
        ["clock", record.clock],
        ["data_type", record.data_type],
        ...record.parents.map((parent): Fact => ["parent", parent]),
        ["judged_by", record.judged_by ?? "-"],
        ["signer", signer],
        ["sig", sig],
      ];
      const body = JSON.stringify(record.body, null, 2).split("\n");
      return `${id}\n${renderFacts(facts)}  body:\n${body.map((line) => `    ${safeText(line)}\n`).join("")}`;
    });
  },
});

export default command;
if (import.meta.main) await runAlone(command);
