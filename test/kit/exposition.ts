/** A strict reader of Prometheus text format 0.0.4: whatever it does not allow is an error. */

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\\n]|\\\\|\\n)+)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/;
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(
  `^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)$`,
);

/** Values by name and labels as they are spelled: `spl_state{state="active"}`. */
export function readExposition(text: string): Map<string, number> {
  if (!text.endsWith("\n")) throw new Error("the last line is not ended");
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  let family = "";
  let helped = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const help = HELP.exec(line);
    const type = TYPE.exec(line);
    const sample = SAMPLE.exec(line);
    if (help) helped = help[1]!;
    else if (type) {
      family = type[1]!;
      if (helped !== family || types.has(family)) throw new Error(`TYPE out of place: ${line}`);
      types.set(family, type[2]!);
    } else if (sample) {
      const [, name, labels, value] = sample;
      const suffixes = types.get(family) === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      if (!suffixes.some((suffix) => name === family + suffix)) throw new Error(`not of ${family}: ${line}`);
      const key = labels === undefined ? name! : `${name}{${labels}}`;
      if (values.has(key)) throw new Error(`told twice: ${line}`);
      values.set(key, Number(value!.replace("Inf", "Infinity")));
    } else throw new Error(`not of the format: ${line}`);
  }
  return values;
}
