/** This repository's own commit log as records: real data that every clone brings along. */

const FIELD = "\x1f";
const RECORD = "\x1e";

interface Commit {
  hash: string;
  author: string;
  date: string;
  subject: string;
  files: string[];
}

/** Commits, oldest first. */
async function commits(repository: string): Promise<Commit[]> {
  const format = ["%H", "%an", "%aI", "%s"].join(FIELD);
  const git = Bun.spawn(["git", "log", "--reverse", "--name-only", `--format=${RECORD}${format}`], {
    cwd: repository,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [log, error, status] = await Promise.all([git.stdout.text(), git.stderr.text(), git.exited]);
  if (status !== 0) throw new Error(`git log failed: ${error.trim()}`);
  return log
    .split(RECORD)
    .slice(1)
    .map((text) => {
      const [head, ...files] = text.split("\n").filter((line) => line !== "");
      const [hash, author, date, subject] = head!.split(FIELD) as [string, string, string, string];
      return { hash, author, date, subject, files };
    });
}

/** NDJSON for `spl emit`: a thread per top-level folder, an actor per author name, a body per commit. */
export async function historyLines(repository: string): Promise<string> {
  const lines: string[] = [];
  for (const { hash, author, date, subject, files } of await commits(repository)) {
    const byFolder = Map.groupBy(files, (file) =>
      file.includes("/") ? file.slice(0, file.indexOf("/")) : "root",
    );
    for (const [folder, touched] of byFolder) {
      const body = { commit: hash, subject, author, at: new Date(date).toISOString(), files: touched };
      lines.push(
        JSON.stringify({
          thread: `th_${slug(folder)}`,
          actor: `did:sync:user:${slug(author)}`,
          act: "DO",
          body,
        }),
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function slug(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "") || "unnamed"
  );
}
