/** What the pages of a hosting service need beside the style of every page. */
export const HOSTING_STYLE = `
main { max-width: 36rem; overflow-wrap: anywhere; }
h2 { margin-top: 1.5rem; }
h3, .copyable h2 { margin: 0 0 0.25rem; font-size: 1rem; }
.bad { color: var(--wrong); }
.tight { margin: 0.25rem 0; }
.joined {
  display: flex; align-items: center; flex-wrap: wrap; gap: 0 0.25rem; padding: 0 0.75rem; min-height: 3rem;
  border: 1px solid var(--quiet); border-radius: 0.5rem; background: var(--back);
}
.joined:focus-within { outline: 3px solid var(--act); outline-offset: 2px; }
.joined:has([aria-invalid="true"]) { border-color: var(--wrong); }
.joined input {
  /* Its own width is that of 20 letters, which with what stands around it is more than a phone has. */
  flex: 1 1 8rem; width: 0; min-width: 0; min-height: 2.875rem; padding: 0; border: 0; background: none; outline: none;
  text-transform: none; letter-spacing: 0; font-size: 1.125rem;
}
.status.good { color: var(--good); }
main > input { text-transform: none; letter-spacing: 0; }
form > input { text-transform: none; letter-spacing: 0; font-size: 1.125rem; }
fieldset { margin: 1rem 0; padding: 0; border: 0; }
legend { margin-bottom: 0.25rem; padding: 0; font-weight: 600; }
.choice {
  display: flex; align-items: center; gap: 0.75rem; min-height: 3rem; margin-bottom: 0.5rem; padding: 0.5rem 0.75rem;
  border: 1px solid var(--line); border-radius: 0.5rem; font-weight: 400; cursor: pointer;
}
.choice:has(input:checked) { border-color: var(--act); }
.choice input { flex: none; width: 1.25rem; height: 1.25rem; min-height: 0; margin: 0; accent-color: var(--act); }
.notice { padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem; }
.phases { margin: 0 0 1rem; padding: 0; list-style: none; }
.phases li {
  display: flex; justify-content: space-between; gap: 1rem; padding: 0.625rem 0 0.625rem 2rem; position: relative;
  border-bottom: 1px solid var(--line);
}
.phases li::before { position: absolute; left: 0.25rem; content: "○"; color: var(--quiet); }
.phases li.running::before { content: "◐"; color: var(--act); }
.phases li.done::before { content: "●"; color: var(--good); }
.phases li.failed::before { content: "✕"; color: var(--wrong); }
.phases li.waiting { color: var(--quiet); }
.copyable { margin-bottom: 1rem; }
.copyable > div, span.copyable {
  display: flex; align-items: stretch; gap: 0.5rem; padding: 0.5rem; border: 1px solid var(--line); border-radius: 0.5rem;
  background: var(--back);
}
.copyable code { flex: 1; align-self: center; min-width: 0; overflow-wrap: anywhere; }
.copyable button { flex: none; width: auto; min-width: 5.5rem; min-height: 2.75rem; margin: 0; padding: 0 0.75rem; }
@media (max-width: 30rem) {
  .joined { padding-bottom: 0.5rem; }
  .copyable > div, span.copyable { flex-direction: column; }
  .copyable button { width: 100%; }
  .copyable code { align-self: start; padding: 0.25rem; }
}
.card { margin-bottom: 1rem; padding: 1rem; border: 1px solid var(--line); border-radius: 0.5rem; }
.card h2 { margin-top: 0; overflow-wrap: anywhere; }
.actions { display: grid; grid-template-columns: repeat(auto-fit, minmax(13.5rem, 1fr)); gap: 0.5rem; margin-bottom: 0.75rem; }
.actions > * { margin: 0; padding: 0.25rem 0.5rem; }
a { color: var(--act); }
a.button {
  display: grid; place-items: center; min-height: 3rem; border-radius: 0.5rem; font-weight: 600; text-align: center; text-decoration: none;
}
a.button.plain { border: 1px solid var(--quiet); color: var(--text); }
button + p, form + section, main > p.quiet:last-child { margin-top: 0.75rem; }
.phases .quiet { white-space: nowrap; }
main > dialog:last-child { margin: auto; }
dialog {
  width: min(32rem, calc(100vw - 2rem)); padding: 1.5rem; border: 1px solid var(--line); border-radius: 0.75rem;
  background: var(--card); color: var(--text);
}
dialog h2 { margin-top: 0; }
dialog::backdrop { background: rgb(0 0 0 / 0.5); }
`;
