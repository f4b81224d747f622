/** Completion scripts for three shells, made from a description of every command. */

export interface CompletableFlag {
  /** Every spelling: `-o`, `--output`. */
  names: readonly string[];
  summary: string;
  /** Null for a flag without value; else the values there are, or none where any text or file may stand. */
  values: readonly string[] | null;
}

export interface CompletableCommand {
  /** One or two: `export`; `thread`, `list`. */
  words: readonly string[];
  summary: string;
  flags: readonly CompletableFlag[];
  /** What may stand first behind the command; none where that is any text or file. */
  operands: readonly string[];
}

export interface CompletableNoun {
  word: string;
  summary: string;
}

export interface Completable {
  commands: readonly CompletableCommand[];
  nouns: readonly CompletableNoun[];
}

interface Choice {
  word: string;
  summary: string;
}

/** What may follow `spl`. */
function firstWords({ commands, nouns }: Completable): Choice[] {
  const single = commands.filter(({ words }) => words.length === 1);
  const words = new Set(nouns.map(({ word }) => word));
  return [
    ...nouns,
    ...single
      .map((command) => ({ word: command.words[0]!, summary: command.summary }))
      .filter(({ word }) => !words.has(word)),
  ];
}

/** What may follow `spl NOUN`. */
function verbs({ commands }: Completable, noun: string): Choice[] {
  const behind = commands.filter(({ words }) => words.length === 2 && words[0] === noun);
  return behind.map(({ words, summary }) => ({ word: words[1]!, summary }));
}

const spaced = (choices: readonly Choice[]): string => choices.map(({ word }) => word).join(" ");

/**
 * Bash: words only, since it shows no descriptions. `=` is a word of its own to readline, so that
 * `--output=js` arrives as three words.
 */
export function bashCompletion(all: Completable): string {
  // A noun that is also a command offers its verbs where that command takes its operands.
  const single = new Map(all.commands.map((command) => [command.words.join(" "), command]));
  const nouns = all.nouns
    .filter(({ word }) => !single.has(word))
    .map(({ word }) => `    "${word} ") words="${spaced(verbs(all, word))}" ;;`);
  const commands = all.commands.map(({ words, flags, operands }) => {
    const valued = flags.filter(({ values }) => values !== null);
    const byFlag = valued.map(
      ({ names, values }) => `        ${names.join("|")}) words="${values!.join(" ")}" ;;`,
    );
    const offered = flags.flatMap(({ names }) => names).join(" ");
    const behind =
      words.length === 1 ? spaced(verbs(all, words[0]!)) || operands.join(" ") : operands.join(" ");
    return [
      `    "${words.join(" ")}${words.length === 1 ? " " : ""}")`,
      `      case "$flag" in`,
      ...byFlag,
      `        *) if [[ $cur == -* ]]; then words="${offered}"; else words="${behind}"; fi ;;`,
      "      esac ;;",
    ].join("\n");
  });
  const nounNames = all.nouns.map(({ word }) => word).join("|");
  return `# Completion of spl for bash. Load it with: source <(spl completion bash)
_spl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD-1]} command= words=
  if [[ $cur == "=" ]]; then cur=
  elif [[ $flag == "=" ]]; then flag=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  if ((COMP_CWORD > 1)); then command="\${COMP_WORDS[1]} "; fi
  case "\${COMP_WORDS[1]}" in
    ${nounNames}) if ((COMP_CWORD > 2)) && [[ \${COMP_WORDS[2]} != -* ]]; then command+="\${COMP_WORDS[2]}"; fi ;;
  esac
  case "$command" in
    "") words="${spaced(firstWords(all))} help" ;;
${[...nouns, ...commands].join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _spl spl
`;
}

/** Zsh: by `_describe` and `_arguments`, with descriptions. */
export function zshCompletion(all: Completable): string {
  const nouns = all.nouns.map(
    ({ word }) => `    ${word})
      if (( CURRENT == 3 )) && [[ $words[3] != -* ]]; then
        choices=(${verbs(all, word).map(zshChoice).join(" ")})
        _describe command choices
        return
      fi
      if [[ $words[3] != -* ]]; then
        command="$words[2] $words[3]"
        shift words; (( CURRENT-- ))
      fi ;;`,
  );
  const commands = all.commands.map(({ words, flags, operands }) => {
    const rest =
      operands.length === 0 ? "'*:file:_files'" : `':argument:(${operands.join(" ")})' '*:file:_files'`;
    const specs = [...flags.map(zshFlag), rest].join(" \\\n      ");
    return `    '${words.join(" ")}')\n      _arguments ${specs} ;;`;
  });
  return `#compdef spl
# Completion of spl for zsh. Load it with: source <(spl completion zsh)
_spl() {
  local -a choices
  local command="$words[2]"
  if (( CURRENT == 2 )); then
    choices=(${firstWords(all).map(zshChoice).join(" ")} 'help:Show help on a command')
    _describe command choices
    return
  fi
  case "$words[2]" in
${nouns.join("\n")}
  esac
  shift words; (( CURRENT-- ))
  case "$command" in
${commands.join("\n")}
  esac
}
if [ "$funcstack[1]" = _spl ]; then _spl "$@"; else compdef _spl spl; fi
`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function zshChoice({ word, summary }: Choice): string {
  return quoted(`${word}:${summary.replaceAll(":", "\\:")}`);
}

/** An option of `_arguments`: `'(-o --output)'{-o,--output=}'[form]:value:(text json)'`. */
function zshFlag({ names, summary, values }: CompletableFlag): string {
  const told = `[${summary.replace(/[[\]:\\]/g, "\\$&")}]`;
  const value = values === null ? "" : `:value:${values.length === 0 ? "_files" : `(${values.join(" ")})`}`;
  const spelled = names.map((name) => (values !== null && name.startsWith("--") ? `${name}=` : name));
  return names.length === 1
    ? quoted(`${spelled[0]}${told}${value}`)
    : `'(${names.join(" ")})'{${spelled.join(",")}}${quoted(`${told}${value}`)}`;
}

/** Fish: one `complete` a line. */
export function fishCompletion(all: Completable): string {
  const line = (condition: string, rest: string, summary: string): string =>
    `complete -c spl -n "${condition}" ${rest} -d ${fishQuoted(summary)}`;
  const lines = firstWords(all).map(({ word, summary }) =>
    line("__fish_use_subcommand", `-f -a ${word}`, summary),
  );
  for (const { word } of all.nouns) {
    const choices = verbs(all, word);
    const open = `__fish_seen_subcommand_from ${word}; and not __fish_seen_subcommand_from ${spaced(choices)}`;
    for (const choice of choices) lines.push(line(open, `-f -a ${choice.word}`, choice.summary));
  }
  for (const { words, flags, operands } of all.commands) {
    const named = words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    if (operands.length > 0) lines.push(line(named, `-f -a "${operands.join(" ")}"`, "argument"));
    for (const { names, summary, values } of flags) {
      const spelled = names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      if (values !== null) spelled.push(values.length === 0 ? "-r" : `-x -a "${values.join(" ")}"`);
      lines.push(line(named, spelled.join(" "), summary));
    }
  }
  return `# Completion of spl for fish. Load it with: spl completion fish | source\n${lines.join("\n")}\n`;
}

function fishQuoted(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
