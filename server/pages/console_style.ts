/** What the console adds: a bar and a column of links on wide screens, a row of them on a phone. */
export const CONSOLE_STYLE = `
body { display: grid; grid-template: auto auto 1fr / minmax(0, 1fr); place-items: stretch; padding: 0; }
header {
  display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 0.75rem; min-height: 3.25rem;
  padding: 0.25rem 1rem; background: var(--card); border-bottom: 1px solid var(--line);
}
header p { margin: 0; }
header p:empty { display: none; }
.brand { font-weight: 700; font-size: 1.125rem; }
.who { min-width: 0; }
.live { display: flex; align-items: center; gap: 0.5rem; margin-left: auto; color: var(--quiet); font-size: 0.875rem; }
.live::before { content: ""; width: 0.625rem; height: 0.625rem; border: 2px solid var(--quiet); border-radius: 50%; }
.live[data-is="live"]::before { border-color: var(--good); background: var(--good); }
.live[data-is="reconnecting"]::before { border-color: var(--wrong); }
nav { background: var(--card); border-bottom: 1px solid var(--line); position: sticky; top: 0; z-index: 1; }
nav ul { display: flex; margin: 0; padding: 0; list-style: none; }
nav li { flex: 1 1 auto; }
nav a {
  display: flex; align-items: center; justify-content: center; gap: 0.375rem; min-height: 2.75rem; padding: 0 0.375rem;
  color: var(--text); text-decoration: none; font-size: 0.875rem; border-bottom: 3px solid transparent;
}
nav a:hover { background: var(--back); }
nav a[aria-current] { border-color: var(--act); color: var(--act); font-weight: 600; }
nav a:focus-visible { outline-offset: -3px; }
.number { display: none; color: var(--quiet); font-weight: 400; font-variant-numeric: tabular-nums; }
main { max-width: 60rem; min-width: 0; padding: 1.25rem 1rem 3rem; background: none; border: 0; border-radius: 0; }
h1 { font-size: 1.5rem; margin-bottom: 0.75rem; overflow-wrap: anywhere; }
h1:focus { outline: none; }
h2 { font-size: 1.0625rem; }
h2.over { margin: 1.75rem 0 0.75rem; }
h2.name { overflow-wrap: anywhere; font-size: 1rem; }
.skip { position: absolute; left: -100vw; top: 0; z-index: 2; padding: 0.75rem 1rem; background: var(--card); }
.skip:focus { left: 0; }
.unseen { position: absolute; width: 1px; height: 1px; min-height: 0; margin: -1px; padding: 0; border: 0; overflow: hidden; clip-path: inset(50%); }
.card { padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem; }
.card > :last-child, .card > div > :last-child { margin-bottom: 0; }
.card > div > dl:first-child { margin-top: 0; }
.card + .card { margin-top: 1rem; }
.cards, .rows { margin: 0; padding: 0; list-style: none; }
.cards + p { margin-top: 1rem; }
.rows { background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem; }
.rows:empty { display: none; }
.rows > li { padding: 0.75rem 1.25rem; }
.rows > li + li { border-top: 1px solid var(--line); }
.rows > li.record { padding: 0; }
.goal { display: inline-block; font-weight: 600; text-decoration: none; unicode-bidi: isolate; }
.goal:hover { text-decoration: underline; }
.meta {
  display: flex; flex-wrap: wrap; align-items: center; gap: 0.125rem 0.875rem; margin: 0.25rem 0 0;
  color: var(--quiet); font-size: 0.875rem; font-variant-numeric: tabular-nums;
}
.meta > * { overflow-wrap: anywhere; unicode-bidi: isolate; }
h1 ~ #view .meta:first-child, .meta.first { margin: 0 0 0.75rem; }
.chip {
  padding: 0 0.5rem; border: 1px solid var(--line); border-radius: 1rem; color: var(--text); font-size: 0.8125rem;
  overflow-wrap: anywhere;
}
.chip.good { border-color: var(--good); color: var(--good); }
.chip.act { border-color: var(--act); color: var(--act); }
.chip.wrong, .wrong { border-color: var(--wrong); color: var(--wrong); }
dl { gap: 0.375rem 1.25rem; margin: 0.75rem 0 0; }
dd { unicode-bidi: isolate; min-width: 0; }
dl + .quiet, dl + button { margin-top: 1rem; }
.tiles { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.75rem; margin: 0 0 1rem; }
.tiles > div { padding: 0.75rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem; }
.tiles dd { font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
.copyable { display: inline-flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 0.5rem; max-width: 100%; }
button { width: auto; margin: 0; padding: 0 1.25rem; min-height: 2.75rem; }
button.small { min-height: 1.75rem; padding: 0 0.5rem; border-color: var(--line); font-size: 0.8125rem; font-weight: 400; }
.card button.main { width: 100%; }
input.text { font: inherit; letter-spacing: normal; text-transform: none; min-height: 2.75rem; background: var(--card); }
.note { margin: 0.5rem 0 0.75rem; }
.filter { margin-bottom: 1rem; max-width: 26rem; }
.filter label { font-size: 0.875rem; }
.more { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem; margin: 0.75rem 0; min-height: 2.75rem; }
.count { margin: 0; }
.empty { padding: 1.25rem; border: 1px dashed var(--line); border-radius: 0.75rem; color: var(--quiet); }
.empty code { color: var(--text); }
.notice {
  padding: 0.75rem 1rem; border: 1px solid var(--line); border-left: 4px solid var(--wrong); border-radius: 0.5rem;
  background: var(--card); overflow-wrap: anywhere;
}
summary { padding: 0.625rem 1.25rem; cursor: pointer; list-style: none; border-radius: 0.75rem; }
summary::-webkit-details-marker { display: none; }
summary:hover .said { color: var(--act); }
summary:focus-visible { outline-offset: -3px; }
.said { display: block; overflow-wrap: anywhere; }
.verb { margin-right: 0.25rem; color: var(--quiet); font: 600 0.75rem/1 ui-monospace, monospace; letter-spacing: 0.04em; }
.inside { padding: 0 1.25rem 1rem; }
pre {
  margin: 0; padding: 0.75rem 1rem; max-height: 28rem; overflow: auto; background: var(--back); border: 1px solid var(--line);
  border-radius: 0.5rem; font: 0.8125rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
}
.each { display: block; }
.word { display: inline-block; max-width: 100%; }
@media (max-width: 47.99rem) {
  .about dl, .inside dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .about dd, .inside dd { margin-bottom: 0.5rem; }
  .card, .rows > li, summary, .inside { padding-left: 1rem; padding-right: 1rem; }
  header { column-gap: 0.5rem; }
  header p:has(.chip.good) { display: none; }
  .tiles > div { padding: 0.5rem 0.75rem; }
  .tiles dd { font-size: 1.25rem; }
}
@media (min-width: 48rem) {
  body { grid-template: auto 1fr / 13rem minmax(0, 1fr); }
  header { grid-column: 1 / -1; padding: 0.25rem 1.5rem; }
  nav { position: static; border: 0; background: none; padding: 1rem 0 0 0.75rem; }
  nav ul { flex-direction: column; gap: 0.125rem; position: sticky; top: 1rem; }
  nav li { flex: none; }
  nav a { justify-content: space-between; padding: 0 0.75rem; font-size: 1rem; border: 0; border-radius: 0.5rem; }
  nav a:hover { background: var(--card); }
  nav a[aria-current] { background: var(--card); }
  .number { display: inline; }
  nav[hidden] + main { grid-column: 1 / -1; max-width: 40rem; margin: 0 auto; }
  main { padding: 1.5rem 2rem 4rem; }
}
`;
