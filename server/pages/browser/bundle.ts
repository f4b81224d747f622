import { counted, shellWord } from "../../../lib/base/text.ts";
import { element } from "./dom.ts";
import type { Report } from "./findings.ts";
import { canRead, readBundle } from "./reader.ts";
import { sentence } from "./sentence.ts";
import { showFindings } from "./show_findings.ts";

/** Hands a file to the worker that verifies it, on `/bundle`. Only one is read at a time; the next ends the one before. */

type Part = "work" | "unlock" | "result" | "details";
type End = Extract<Report, { kind: "end" }>;

const picker = element<HTMLInputElement>("file");
const secret = element<HTMLInputElement>("secret");
const bar = element<HTMLProgressElement>("bar");
const choose = element("choose");

let worker: Worker | null = null;
/** The file that waits for its secret. */
let locked: File | null = null;

choose.addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  const [file] = picker.files ?? [];
  if (file) read(file, null);
  // So that the same file can be chosen again.
  picker.value = "";
});
element("cancel").addEventListener("click", () => {
  stop();
  show();
  tell("Cancelled. Nothing was kept.");
  choose.focus();
});
element("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  if (locked) read(locked, secret.value);
});
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  // Between two elements of the page there is a related one.
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file, ...more] = event.dataTransfer?.files ?? [];
  if (file && more.length === 0) read(file, null);
  else tell("Drop one file at a time.", true);
});

if (canRead()) element("drop").hidden = false;
else tell("This browser is too old for this page. In a terminal, use spl verify FILE.", true);

function read(file: File, withSecret: string | null): void {
  stop();
  show("work");
  progress(file, 0, 0);
  tell(`Reading ${file.name}`);
  element("cancel").focus();
  const reported = (report: Report) => {
    if (report.kind === "progress") progress(file, report.bytes, report.records);
    else end(file, report, withSecret !== null);
  };
  worker = readBundle({ file, secret: withSecret }, reported, () => {
    stop();
    show();
    tell(
      "The part of this page that reads bundles did not load or broke. Reload the page and try again.",
      true,
    );
    choose.focus();
  });
}

function stop(): void {
  worker?.terminate();
  worker = null;
  locked = null;
  secret.value = "";
}

function progress({ size }: File, bytes: number, records: number): void {
  bar.value = size === 0 ? 1 : bytes / size;
  element("amount").textContent =
    `${megabytes(bytes)} of ${megabytes(size)} MB, ${counted(records, "record")}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(bytes < 100_000_000 ? 1 : 0);
}

function end(file: File, report: End, tried: boolean): void {
  stop();
  if (report.verdict === "locked") {
    locked = file;
    element("command").textContent = `spl verify ${shellWord(file.name)} --decrypt-key key.txt`;
    show("unlock");
    secret.setAttribute("aria-invalid", String(tried));
    tell(tried ? sentence(report.message) : "", tried);
    secret.focus();
    return;
  }
  showFindings(file.name, report, tried);
  show("result", "details");
  tell("");
  // A screen reader goes on from here.
  element("verdict").focus();
}

function show(...parts: Part[]): void {
  for (const id of ["work", "unlock", "result", "details"] as const) element(id).hidden = !parts.includes(id);
}

function tell(message: string, wrong = false): void {
  element("status").textContent = message;
  element("status").classList.toggle("wrong", wrong);
}
