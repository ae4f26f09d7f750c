/** The form that asks for the password: one file without a script, whose style is named by its hash. */
import type { HttpReply } from '../../drivers/http/server.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { toBase64 } from '../../protocol/chain/base64.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'

/** As page/palette.css and page/base.css say it: nothing of theirs is given to who is not logged in yet. */
const STYLE = `:root{color-scheme:light dark;--paper:#f3f1ea;--card:#fffefb;--ink:#1c2430;--quiet:#5d6674;--hair:#e4e0d5;--line:#8b8778;--focus:#2867b8;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--paper:#0e1319;--card:#161d26;--ink:#e8ebef;--quiet:#98a3b1;--hair:#242d39;--line:#66758a;--focus:#6ea8f2;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
form{display:grid;gap:.75rem;width:min(22rem,92vw);padding:1.75rem;background:var(--card);border:1px solid var(--hair);border-radius:16px}
h1{margin:0 0 .25rem;font-size:1.75rem;line-height:1.2;letter-spacing:-.015em}
h1::first-letter{text-transform:uppercase}
label{color:var(--quiet)}
input,button{min-height:44px;padding:.5rem .75rem;font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:8px}
button{background:var(--ink);color:var(--card);font-weight:600;cursor:pointer}
:focus-visible{outline:2.5px solid var(--focus);outline-offset:2px}
p{margin:0;color:var(--bad);font-weight:600}`

const POLICY = `default-src 'none'; style-src 'sha256-${toBase64(sha256(utf8(STYLE)))}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`

const SAID = { ask: '', wrong: 'That is not it.', wait: 'Too many tries: wait ten seconds.' } as const

/** `site` is a name of the configuration: letters, digits, - and _. */
export const loginPage =
  (site: string) =>
  (state: keyof typeof SAID, status: number, headers: Readonly<Record<string, string>> = {}): HttpReply => ({
    kind: 'bytes',
    status,
    type: 'text/html; charset=utf-8',
    headers: { 'content-security-policy': POLICY, ...headers },
    bytes: utf8(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${site}: log in</title>
<style>${STYLE}</style>
<main><form method="post" action="/login">
<h1>${site}</h1>
${state === 'ask' ? '' : `<p role="alert">${SAID[state]}</p>\n`}<label for="password">Password or token</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form></main>
</html>
`),
  })
