import type { SplCommand } from "./_command.ts";

/** Loads one command's file. A literal `import()`, so that the bundler sees it. */
export type Load = () => Promise<{ default: SplCommand }>;

/** A noun is a folder; its verbs are the files in it. */
export interface Noun {
  summary: string;
  /** What the noun without a verb does, where that is a command as well: `spl backup`. */
  alone?: Load;
  verbs: Record<string, Load>;
}

/** A heading of the overview and what stands beneath it, in that order. */
export interface Section {
  title: string;
  commands: Record<string, Load | Noun>;
}

/** Every command there is, loaded only when it is named. To add one, add its line. */
export const COMMANDS: readonly Section[] = [
  {
    title: "Run an instance",
    commands: {
      init: () => import("./init.ts"),
      serve: () => import("./serve.ts"),
      start: () => import("./start.ts"),
      stop: () => import("./stop.ts"),
      status: () => import("./status.ts"),
      doctor: () => import("./doctor.ts"),
      logs: () => import("./logs.ts"),
    },
  },
  {
    title: "Write and read",
    commands: {
      intend: () => import("./intend.ts"),
      do: () => import("./do.ts"),
      know: () => import("./know.ts"),
      learn: () => import("./learn.ts"),
      emit: () => import("./emit.ts"),
      thread: {
        summary: "Threads and their records",
        verbs: {
          list: () => import("./thread/list.ts"),
          show: () => import("./thread/show.ts"),
          records: () => import("./thread/records.ts"),
        },
      },
      record: { summary: "Single records", verbs: { show: () => import("./record/show.ts") } },
      actor: {
        summary: "Who records speak for",
        verbs: {
          list: () => import("./actor/list.ts"),
          show: () => import("./actor/show.ts"),
          register: () => import("./actor/register.ts"),
          export: () => import("./actor/export.ts"),
          import: () => import("./actor/import.ts"),
        },
      },
      trust: () => import("./trust.ts"),
    },
  },
  {
    title: "Sign in, and let others in",
    commands: {
      token: {
        summary: "Tokens: the one that signs this machine in, and those of an instance",
        verbs: {
          save: () => import("./token/save.ts"),
          forget: () => import("./token/forget.ts"),
          "show-source": () => import("./token/show-source.ts"),
          create: () => import("./token/create.ts"),
          list: () => import("./token/list.ts"),
          info: () => import("./token/info.ts"),
          rotate: () => import("./token/rotate.ts"),
          revoke: () => import("./token/revoke.ts"),
        },
      },
      "service-account": {
        summary: "Who may call over the network",
        verbs: {
          create: () => import("./service-account/create.ts"),
          list: () => import("./service-account/list.ts"),
          describe: () => import("./service-account/describe.ts"),
          revoke: () => import("./service-account/revoke.ts"),
        },
      },
      pair: () => import("./pair.ts"),
      device: {
        summary: "Devices that were let in",
        verbs: {
          list: () => import("./device/list.ts"),
          revoke: () => import("./device/revoke.ts"),
        },
      },
      audit: () => import("./audit.ts"),
    },
  },
  {
    title: "Move and prove",
    commands: {
      export: () => import("./export.ts"),
      import: () => import("./import.ts"),
      restore: () => import("./restore.ts"),
      rollback: () => import("./rollback.ts"),
      verify: () => import("./verify.ts"),
      diff: () => import("./diff.ts"),
      bundle: {
        summary: "What is in a bundle",
        verbs: {
          show: () => import("./bundle/show.ts"),
          ls: () => import("./bundle/ls.ts"),
        },
      },
      identity: {
        summary: "Who an instance is",
        verbs: { show: () => import("./identity/show.ts"), revoke: () => import("./identity/revoke.ts") },
      },
      sync: () => import("./sync.ts"),
      federation: {
        summary: "Other instances that this one is paired with",
        verbs: {
          pair: () => import("./federation/pair.ts"),
          approve: () => import("./federation/approve.ts"),
          reject: () => import("./federation/reject.ts"),
          list: () => import("./federation/list.ts"),
          show: () => import("./federation/show.ts"),
          pause: () => import("./federation/pause.ts"),
          resume: () => import("./federation/resume.ts"),
          refresh: () => import("./federation/refresh.ts"),
          revoke: () => import("./federation/revoke.ts"),
          "set-mode": () => import("./federation/set-mode.ts"),
          "set-poll-interval": () => import("./federation/set-poll-interval.ts"),
          "thread-allow": () => import("./federation/thread-allow.ts"),
        },
      },
      consent: {
        summary: "Which namespaces are shared with which pairs",
        verbs: {
          grant: () => import("./consent/grant.ts"),
          list: () => import("./consent/list.ts"),
          revoke: () => import("./consent/revoke.ts"),
        },
      },
      namespace: {
        summary: "What threads are grouped by, for consent",
        verbs: { list: () => import("./namespace/list.ts") },
      },
    },
  },
  {
    title: "Day two",
    commands: {
      backup: {
        summary: "Back up this instance, and prove it",
        alone: () => import("./backup.ts"),
        verbs: { list: () => import("./backup/list.ts"), verify: () => import("./backup/verify.ts") },
      },
      drill: {
        summary: "Prove that this instance can come back",
        alone: () => import("./drill.ts"),
        verbs: { list: () => import("./drill/list.ts") },
      },
      schedule: {
        summary: "Backups and drills at fixed times",
        verbs: { print: () => import("./schedule/print.ts") },
      },
      service: {
        summary: "Let the daemon survive a reboot",
        verbs: {
          install: () => import("./service/install.ts"),
          uninstall: () => import("./service/uninstall.ts"),
        },
      },
    },
  },
  {
    title: "Host instances for others",
    commands: {
      host: {
        summary: "A hosting service and its instances",
        verbs: {
          serve: () => import("./host/serve.ts"),
          list: () => import("./host/list.ts"),
          show: () => import("./host/show.ts"),
          sleep: () => import("./host/sleep.ts"),
          wake: () => import("./host/wake.ts"),
          delete: () => import("./host/delete.ts"),
          invite: () => import("./host/invite.ts"),
          print: () => import("./host/print.ts"),
        },
      },
    },
  },
  {
    title: "This program",
    commands: {
      config: {
        summary: "Settings of the command line",
        verbs: {
          path: () => import("./config/path.ts"),
          show: () => import("./config/show.ts"),
          set: () => import("./config/set.ts"),
        },
      },
      completion: () => import("./completion.ts"),
      version: () => import("./version.ts"),
    },
  },
];

/** A command with the words that name it. */
export interface NamedLoad {
  words: string[];
  load: Load;
}

export function* everyCommand(sections: readonly Section[]): Generator<NamedLoad> {
  for (const { commands } of sections) {
    for (const [word, entry] of Object.entries(commands)) {
      if (typeof entry === "function") yield { words: [word], load: entry };
      else {
        if (entry.alone) yield { words: [word], load: entry.alone };
        for (const [verb, load] of Object.entries(entry.verbs)) yield { words: [word, verb], load };
      }
    }
  }
}
