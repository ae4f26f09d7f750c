/** Who is answered by the page's server, over real sockets. */
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { isToken } from '../../../drivers/keys/token-file.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { cookieOf, FORM, guardedWeb, JSON_TYPE, PASSWORD, stillTimers } from './guarded-web.ts'

const test = suite('page auth')

type Web = Awaited<ReturnType<typeof guardedWeb>>
const served =
  (body: (web: Web) => Promise<void>, change: Parameters<typeof guardedWeb>[0] = {}) =>
  async () => {
    const web = await guardedWeb(change)
    try {
      await body(web)
    } finally {
      await web.close()
    }
  }

test('a page that other machines reach, and that asks for nothing, is refused with its place and a reason', () => {
  const check = (page: string) => {
    const loaded = loadConfig(`${smallSite(`{seed: ${'01'.repeat(32)}}`)}bench: true\npage: ${page}\n`, 'site.yaml')
    return loaded.ok ? [] : loaded.faults.map(configLine)
  }
  for (const host of ['0.0.0.0', '[::]', '192.168.1.5', 'gateway.local', '127.0.0.2', '127.0.0.1.example']) {
    const [line = '', ...more] = check(`{listen: "${host}:8480"}`)
    assert.match(line, /^site\.yaml:\d+:\d+: page\.listen can be reached from other machines, .*password_file/, host)
    assert.equal(more, [])
    for (const file of ['password_file: a', 'token_file: b'])
      assert.equal(check(`{listen: "${host}:8480", ${file}}`), [])
    assert.equal(check(`{listen: "${host}:8480", off: true}`), [])
  }
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) assert.equal(check(`{listen: "${host}:8480"}`), [])
})

test('a server is never opened to other machines without asking them, whatever the configuration said', async () => {
  const options = { host: '0.0.0.0', port: 0, page: [], everyMs: 1000, timers: stillTimers, onBug: () => {} }
  const never = () => assert.unreachable() as never
  try {
    await createWeb({ ...options, serve: never, snapshot: never })
    assert.unreachable('it must not open')
  } catch (error) {
    assert.instance(error, RangeError)
  }
})

test(
  'nobody is answered who has not shown a session or a token; a person is sent to the form',
  served(async web => {
    for (const path of ['/', '/api/snapshot', '/api/events', '/metrics', '/api/relays', '/none']) {
      const refused = await web.ask('GET', path)
      assert.equal([refused.status, refused.headers['www-authenticate']], [401, 'Bearer realm="maple"'], path)
      assert.is((await web.ask('HEAD', path)).status, 401)
    }
    const person = await web.ask('GET', '/', { accept: 'text/html,*/*' })
    assert.equal([person.status, person.headers.location], [303, '/login'])
    assert.is((await web.ask('POST', '/api/relays/manual', JSON_TYPE, '{"on":true}')).status, 401)
    assert.is((await web.ask('GET', '/api/health')).status, 200)
  }),
)

test(
  'the same server with nothing asked answers all of it: what the test sees is the gate',
  served(
    async web => {
      for (const path of ['/', '/api/snapshot']) assert.is((await web.ask('GET', path)).status, 200)
      assert.is((await web.ask('POST', '/api/relays/manual', JSON_TYPE, '{"on":true}')).status, 200)
      assert.is((await web.ask('GET', '/login')).status, 404)
    },
    { auth: false },
  ),
)

test(
  'a password opens a session in a cookie that no script and no other site can use, and logging out ends it',
  served(async web => {
    const form = await web.ask('GET', '/login')
    assert.match(form.text, /<label for="password">/)
    assert.match(String(form.headers['content-security-policy']), /form-action 'self'/)
    const done = await web.login(PASSWORD)
    assert.equal([done.status, done.headers.location], [303, '/'])
    const [set = ''] = done.headers['set-cookie'] as string[]
    assert.match(set, /^tieline-maple=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Strict$/)
    const cookie = cookieOf(done)
    assert.is((await web.ask('GET', '/api/snapshot', { cookie })).status, 200)
    assert.is((await web.ask('GET', '/api/snapshot', { cookie: `theme=dark; ${cookie}` })).status, 200)
    const end = cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A')
    for (const other of [end, 'tieline-maple=', `${cookie}A`, `x${cookie}`, 'tieline-maple=__proto__'])
      assert.is((await web.ask('GET', '/api/snapshot', { cookie: other })).status, 401, other)
    assert.is((await web.ask('POST', '/logout', { ...FORM, cookie })).headers.location, '/login')
    assert.is((await web.ask('GET', '/api/snapshot', { cookie })).status, 401)
  }),
)

test(
  'each session has an id of its own, and ends after a week without use and after a month',
  served(async web => {
    const [one, two] = [cookieOf(await web.login(PASSWORD)), cookieOf(await web.login(PASSWORD))]
    assert.is.not(one, two)
    assert.ok(isToken(one.split('=')[1]!))
    const day = 86_400_000
    const status = async (cookie: string) => (await web.ask('GET', '/api/snapshot', { cookie })).status
    for (let n = 0; n < 5; n++) {
      web.pass(6 * day)
      assert.is(await status(one), 200)
    }
    assert.is(await status(two), 401, 'unused for a week')
    web.pass(day)
    assert.is(await status(one), 401, 'a month old')
  }),
)

test(
  'of 70 sessions 64 are kept, those that were used last',
  served(async web => {
    const cookies: string[] = []
    for (let n = 0; n < 70; n++) {
      web.pass(10_000)
      cookies.push(cookieOf(await web.login(PASSWORD)))
      // The first stays in use.
      assert.is((await web.ask('GET', '/api/snapshot', { cookie: cookies[0]! })).status, 200)
    }
    const left = await Promise.all(cookies.map(cookie => web.ask('GET', '/api/snapshot', { cookie })))
    assert.equal(
      left.map(({ status }) => status),
      cookies.map((_, n) => (n >= 1 && n <= 6 ? 401 : 200)),
    )
  }),
)

test(
  'a machine shows a token with each request, or a person gives it in the form',
  served(async web => {
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
    assert.is((await web.ask('GET', '/api/snapshot', bearer(web.token))).status, 200)
    const manual = await web.ask('POST', '/api/relays/manual', { ...JSON_TYPE, ...bearer(web.token) }, '{}')
    assert.is(manual.status, 200)
    for (const wrong of ['', 'x', web.token.slice(1), `${web.token}A`, web.token.toLowerCase(), PASSWORD])
      assert.is((await web.ask('GET', '/api/snapshot', bearer(wrong))).status, 401, wrong)
    assert.is((await web.ask('GET', '/api/snapshot', { authorization: `Basic ${web.token}` })).status, 401)
    assert.is((await web.login(web.token)).status, 303)
    assert.is(web.looked(), 0)
  }),
)

test(
  'a POST of another origin is refused even with the cookie of a session',
  served(async web => {
    const cookie = cookieOf(await web.login(PASSWORD))
    const host = 'gateway.local:8480'
    const post = async (headers: Record<string, string>) =>
      (await web.ask('POST', '/api/relays/manual', { cookie, host, ...JSON_TYPE, ...headers }, '{}')).status
    // With a session, from any host.
    assert.is(await post({}), 200)
    assert.is(await post({ origin: `http://${host}` }), 200)
    assert.is(await post({ origin: `https://${host}`, 'sec-fetch-site': 'same-origin' }), 200)
    for (const origin of ['http://evil.example', 'null', `http://${host}.evil.example`, 'http://gateway.local'])
      assert.is(await post({ origin }), 403, origin)
    for (const site of ['cross-site', 'same-site']) assert.is(await post({ 'sec-fetch-site': site }), 403, site)
    // A form needs no leave to be sent; JSON does.
    assert.is(await post({ 'content-type': 'text/plain' }), 403)
    assert.is(await post(FORM), 403)
    const forced = await web.login(PASSWORD, undefined, { origin: 'http://evil.example' })
    assert.equal([forced.status, forced.headers['set-cookie']], [403, undefined], 'nobody is logged in by another page')
  }),
)

test(
  'tries are counted for each peer and for all, before the password is looked at, and the clock gives them back',
  served(async web => {
    const refused = await web.login('wrong')
    assert.is(refused.status, 403)
    assert.match(refused.text, /role="alert"/)
    const empty = await web.ask('POST', '/login', FORM, '\u0000=%')
    assert.equal([empty.status, empty.text], [refused.status, refused.text], 'the same answer, whatever is wrong')
    for (let n = 0; n < 3; n++) assert.is((await web.login('wrong')).status, 403)
    const late = await web.login(PASSWORD)
    assert.equal([late.status, late.headers['retry-after'], web.looked()], [429, '10', 5])
    // Another peer has tries of its own, until all have taken what there is.
    for (let n = 0; n < 5; n++) assert.is((await web.login('wrong', '127.0.0.2')).status, 403)
    assert.equal([(await web.login(PASSWORD, '127.0.0.3')).status, web.looked()], [429, 10])
    web.pass(10_000)
    assert.is((await web.login(PASSWORD)).status, 303)
    assert.is(web.logged.length, 10)
    assert.equal(web.logged[5], { code: 'page.wrong-password', peer: '127.0.0.2' })
    assert.not.ok(JSON.stringify(web.logged).includes(PASSWORD))
  }),
)

test.run()
