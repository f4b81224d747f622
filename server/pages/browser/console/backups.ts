import type { Backup } from "../../../../lib/api/wire.ts";
import { facts, make, refill } from "../dom.ts";
import type { Desk, View } from "./desk.ts";
import { chip, count, empty, moment, number } from "./words.ts";

const MOST = 100;

/** Backups of this instance that its machine knows of, and what each is worth. */
export function backups(desk: Desk): View {
  const list = make("div");
  return {
    heading: "Backups",
    scope: "admin",
    body: list,
    async refresh() {
      const all = await desk.get<Backup[]>("v1/backups");
      if (all.length === 0) {
        refill(
          list,
          empty(
            "No backup of this instance is known on its machine. This takes one and reads it back: ",
            "spl backup",
          ),
        );
        return;
      }
      const more = all.length - MOST;
      refill(
        list,
        make("ol", { class: "cards" }, ...all.slice(0, MOST).map(card)),
        more > 0 ? make("p", { class: "quiet" }, `${count(more, "older backup")} not shown.`) : null,
        make(
          "p",
          { class: "quiet" },
          "What lies elsewhere is listed by ",
          make("code", {}, "spl backup list --to …"),
        ),
      );
    },
  };
}

function card({
  name,
  target,
  time,
  bytes,
  records,
  encrypted,
  verified,
  read_at,
  damage,
}: Backup): HTMLElement {
  const state =
    damage !== null
      ? chip("damaged", "wrong")
      : verified === null
        ? chip("not verified")
        : chip("verified", "good");
  return make(
    "li",
    { class: "card" },
    make("p", { class: "meta first" }, state, encrypted ? chip("encrypted") : null, moment(time)),
    facts([
      ["Damage", damage],
      ["Read back", read_at === null ? "never" : readBack(read_at, verified)],
      ["Size", bytes === null ? null : size(bytes)],
      ["Records", records === null ? null : number(records)],
      ["Where", target],
      ["Name", make("code", {}, name)],
    ]),
  );
}

function readBack(at: string, verified: Backup["verified"]): HTMLElement {
  const how = { content: ", every hash and signature", ciphertext: ", its encrypted bytes" };
  return make("span", {}, moment(at), verified === null ? null : how[verified]);
}

/** `812 bytes`, `4.2 MB`: as disks are sold, and as `spl backup` counts. */
function size(bytes: number): string {
  if (bytes < 100_000) return count(bytes, "byte");
  return bytes < 1_000_000_000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
