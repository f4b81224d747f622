import { shellWord } from "../base/text.ts";

/** Texts that make other programs run backups and drills. Times are local, as those programs read them. */

export interface ScheduledJob {
  /** `backup`, `drill`. */
  name: string;
  /** The whole command, the program's absolute path first. */
  command: readonly string[];
  /** Environment that the scheduler would not have. */
  env: Readonly<Record<string, string>>;
  /** Day of the week for a weekly job, 0 = Sunday; null for every day. */
  weekday: number | null;
  hour: number;
  minute: number;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Lines for `crontab -e`. Cron mails what a job prints, and these print failures only. */
export function cronText(jobs: readonly ScheduledJob[]): string {
  const lines = jobs.map(({ command, env, weekday, hour, minute }) => {
    const words = [
      ...Object.entries(env).map(([name, value]) => `${name}=${shellWord(value)}`),
      ...command.map(shellWord),
    ];
    // To cron a percent sign is the end of the line.
    return `${minute} ${hour} * * ${weekday ?? "*"} ${words.join(" ").replaceAll("%", "\\%")}`;
  });
  return `# Add these lines with: crontab -e
# Silent when all is well; one line by mail (MAILTO) when not. Overlapping runs end with status 5.
${lines.join("\n")}
`;
}

/** Unit files for `~/.config/systemd/user`, each behind its name. */
export function systemdText(jobs: readonly ScheduledJob[]): string {
  const units = jobs.map(({ name, command, env, weekday, hour, minute }) => {
    const time = `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}:00`;
    return `# ~/.config/systemd/user/spl-${name}.service
[Unit]
Description=spl ${name}

[Service]
Type=oneshot
${environment(env)}ExecStart=${command.map((word) => systemdWord(word.replaceAll("$", "$$$$"))).join(" ")}

# ~/.config/systemd/user/spl-${name}.timer
[Unit]
Description=spl ${name}

[Timer]
OnCalendar=${weekday === null ? "" : `${DAYS[weekday]} `}*-*-* ${time}
Persistent=true

[Install]
WantedBy=timers.target
`;
  });
  const timers = jobs.map(({ name }) => `spl-${name}.timer`).join(" ");
  return `# Put each part into the file that its first line names, then:
#   systemctl --user daemon-reload && systemctl --user enable --now ${timers}
# So that they run while nobody is logged in: loginctl enable-linger
# journalctl --user -u 'spl-*' shows failures; a run that was missed while the machine was off is made up for.

${units.join("\n")}`;
}

/** Property lists for `~/Library/LaunchAgents`, each behind its name. @param logs folder for what the jobs say */
export function launchdText(jobs: readonly ScheduledJob[], logs: string): string {
  const lists = jobs.map(
    ({
      name,
      command,
      env,
      weekday,
      hour,
      minute,
    }) => `<!-- ~/Library/LaunchAgents/com.syncropel.spl.${name}.plist -->
${launchdList(`com.syncropel.spl.${name}`, command, env, [
  "  <key>StartCalendarInterval</key>",
  "  <dict>",
  ...(weekday === null ? [] : [`    <key>Weekday</key><integer>${weekday}</integer>`]),
  `    <key>Hour</key><integer>${hour}</integer>`,
  `    <key>Minute</key><integer>${minute}</integer>`,
  "  </dict>",
  `  <key>StandardErrorPath</key><string>${xml(`${logs}/spl-${name}.log`)}</string>`,
])}`,
  );
  return `<!-- Put each part, from its <?xml line on, into the file that the line before it names, then:
     launchctl bootstrap gui/$(id -u) FILE -->
${lists.join("\n")}`;
}

/** A unit that keeps the daemon running. */
export function systemdService(command: readonly string[], env: Readonly<Record<string, string>>): string {
  return `[Unit]
Description=spl, an instance of records that can leave

[Service]
${environment(env)}ExecStart=${command.map((word) => systemdWord(word.replaceAll("$", "$$$$"))).join(" ")}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
`;
}

/** The same for launchd. */
export function launchdService(command: readonly string[], env: Readonly<Record<string, string>>): string {
  return launchdList("com.syncropel.spl", command, env, [
    "  <key>RunAtLoad</key><true/>",
    "  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>",
  ]);
}

function environment(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `Environment=${systemdWord(`${name}=${value}`)}\n`)
    .join("");
}

/** systemd.syntax(7): one word, in quotes where it needs them. In commands `$` has been doubled before. */
function systemdWord(text: string): string {
  const escaped = text.replaceAll("%", "%%");
  return /^[\w./:=@%$+,-]+$/.test(escaped)
    ? escaped
    : `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function launchdList(
  label: string,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  more: readonly string[],
): string {
  const variables = Object.entries(env).map(
    ([name, value]) => `    <key>${name}</key><string>${xml(value)}</string>`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    "<dict>",
    `  <key>Label</key><string>${label}</string>`,
    "  <key>ProgramArguments</key>",
    "  <array>",
    ...command.map((word) => `    <string>${xml(word)}</string>`),
    "  </array>",
    ...(variables.length === 0
      ? []
      : ["  <key>EnvironmentVariables</key>", "  <dict>", ...variables, "  </dict>"]),
    ...more,
    "</dict>",
    "</plist>",
    "",
  ].join("\n");
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
