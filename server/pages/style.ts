/** The style of every page: the system's fonts and colours, light and dark, one column that fits a phone. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #ffffff; --text: #16181d; --quiet: #565c69; --line: #c3c8d2;
  --act: #1d4ed8; --on-act: #ffffff; --wrong: #b3261e; --good: #166534;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #101216; --card: #191c22; --text: #eceef2; --quiet: #a5acb8; --line: #454c59;
    --act: #9db8ff; --on-act: #0b1533; --wrong: #ffb4ab; --good: #8ddba6;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
}
main {
  width: 100%; max-width: 30rem; padding: 1.5rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 0.75rem;
}
h1, h2 { margin: 0 0 0.5rem; line-height: 1.25; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.25rem; }
h2:focus { outline: none; }
p { margin: 0 0 1rem; }
a { color: var(--act); text-underline-offset: 0.15em; overflow-wrap: anywhere; }
label { display: block; margin-bottom: 0.25rem; font-weight: 600; }
input, button { width: 100%; min-height: 3rem; border-radius: 0.5rem; font: inherit; }
input {
  padding: 0 0.75rem; border: 1px solid var(--quiet); background: var(--back); color: var(--text);
  font: 1.25rem/1 ui-monospace, monospace; letter-spacing: 0.06em; text-transform: uppercase;
}
input[aria-invalid="true"] { border-color: var(--wrong); }
button {
  margin-top: 0.75rem; border: 0; background: var(--act); color: var(--on-act); font-weight: 600; cursor: pointer;
}
button.plain { border: 1px solid var(--quiet); background: none; color: var(--text); }
button:disabled { opacity: 0.6; cursor: default; }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
.status { min-height: 1.5rem; margin: 1rem 0 0; color: var(--quiet); }
.status:empty { display: none; }
.status.wrong { color: var(--wrong); }
.good { color: var(--good); }
section + section { margin-top: 1rem; }
.phrase {
  padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--back);
  font-size: 1.375rem; font-weight: 600; text-align: center; text-wrap: balance; overflow-wrap: anywhere;
}
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.25rem 1rem; margin: 0 0 1rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: 0.9375em; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); font-size: 0.9375rem; }
main > :last-child, section > :last-child { margin-bottom: 0; }
`;
