/** The configuration over real HTTP: read, edited whole or not at all, by whom the page knows. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { configRoutes } from '../../../agent/web/config-route.ts'
import { openApi } from '../../../agent/web/openapi.ts'
import { assert, suite } from '../../harness.ts'
import { COMMENTED } from '../config/commented-site.ts'
import { type Answer, guardedWeb, JSON_TYPE } from './guarded-web.ts'
import { violationsOf } from './schema-check.ts'

const test = suite('config over http')

// biome-ignore lint/suspicious/noExplicitAny: the document is what is tested.
const document = openApi(['GET /api/config', 'POST /api/config'], [], true) as any

/** Every answer is held to what the document says of it. */
function said(method: 'get' | 'post', { status, text }: Answer) {
  const value = JSON.parse(text)
  const schema = document.paths['/api/config'][method].responses[status]?.content['application/json'].schema
  assert.ok(schema, `${method} ${status} is in the document`)
  assert.equal(violationsOf(value, schema, document), [])
  return value
}

async function editing(work: (site: Awaited<ReturnType<typeof open>>) => Promise<void>, auth?: false): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/tieline-config-`)
  try {
    const site = await open(folder, auth)
    try {
      await work(site)
    } finally {
      await site.web.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function open(folder: string, auth?: false) {
  const file = `${folder}/config.yaml`
  writeFileSync(file, COMMENTED)
  chmodSync(file, 0o660)
  const web = await guardedWeb({ site: configRoutes(file, auth !== false), ...(auth === false ? { auth } : {}) })
  const known = { ...JSON_TYPE, authorization: `Bearer ${web.token}` }
  return {
    ...{ folder, file, web, known },
    text: () => readFileSync(file, 'utf8'),
    get: async () => said('get', await web.ask('GET', '/api/config', known)),
    post: async (body: unknown, headers: Readonly<Record<string, string>> = known) => {
      const answer = await web.ask(
        'POST',
        '/api/config',
        headers,
        typeof body === 'string' ? body : JSON.stringify(body),
      )
      return { status: answer.status, value: said('post', answer) }
    },
  }
}

const SLOT = { path: ['trade', 'slot'], value: '45s' }

test('the text is shown with every setting, and an edit is in the file, its comments with it', () =>
  editing(async ({ get, post, text, file, folder }) => {
    const before = await get()
    assert.is(before.text, COMMENTED)
    assert.is(before.writable, true)
    assert.is(before.file, file)
    const slot = before.settings.find(({ path }: { path: string[] }) => path.join('.') === 'trade.slot')
    assert.is(slot.value, '30s')
    assert.is(COMMENTED.split('\n')[slot.line - 1], '  slot: 30s # as long as a deal lasts')
    const { status, value } = await post({
      version: before.version,
      edits: [SLOT, { path: ['mqtt', 'every'], value: '5s' }],
    })
    assert.is(status, 200)
    assert.is(value.restart, true)
    assert.is(text(), `${COMMENTED.replace('slot: 30s', 'slot: 45s')}mqtt:\n  every: 5s\n`)
    assert.is((await get()).version, value.version)
    assert.is(statSync(file).mode & 0o777, 0o660)
    assert.equal(readdirSync(folder), ['config.yaml'])
  }))

test('who read another text than the one that is there writes nothing; of two at once one does', () =>
  editing(async ({ get, post, text, file }) => {
    const { version } = await get()
    writeFileSync(file, `${COMMENTED}# a note\n`)
    const late = await post({ version, edits: [SLOT] })
    assert.is(late.status, 409)
    assert.is(text(), `${COMMENTED}# a note\n`)
    const fresh = await get()
    assert.is(late.value.version, fresh.version)
    const both = await Promise.all(
      ['41s', '42s'].map(value => post({ version: fresh.version, edits: [{ ...SLOT, value }] })),
    )
    assert.equal(both.map(({ status }) => status).sort(), [200, 409])
  }))

test('what would not load is refused with every mistake and its place, and nothing is written', () =>
  editing(async ({ get, post, text }) => {
    const { version } = await get()
    const edits = [
      { path: ['trade', 'slot'], value: 'soon' },
      { path: ['meters', 'grid', 'unit'], value: '999' },
    ]
    const { status, value } = await post({ version, edits })
    assert.is(status, 422)
    const lines = COMMENTED.split('\n')
    assert.equal(
      value.mistakes.map(({ line }: { line: number }) => lines[line - 1]!.trim().split(':')[0]),
      ['unit', 'slot'],
    )
    assert.is(text(), COMMENTED)
  }))

test('only whom the page knows may write, and only where somebody is asked', async () => {
  await editing(async ({ get, post, text, web }) => {
    const { version } = await get()
    const stranger = await web.ask('POST', '/api/config', JSON_TYPE, JSON.stringify({ version, edits: [SLOT] }))
    assert.is(stranger.status, 401)
    assert.is((await web.ask('GET', '/api/config')).status, 401)
    const form = await post({ version, edits: [SLOT] }, { authorization: `Bearer ${web.token}` })
    assert.is(form.status, 403)
    assert.is(text(), COMMENTED)
  })
  await editing(async ({ get, post, text }) => {
    const { version, writable, why } = await get()
    assert.is(writable, false)
    assert.is(why.code, 'config.unguarded')
    assert.is((await post({ version, edits: [SLOT] })).status, 403)
    assert.is(text(), COMMENTED)
  }, false)
})

test('what names files of the machine, or who may come in, is set in the file alone', () =>
  editing(async ({ get, post, text }) => {
    const { version } = await get()
    for (const path of [
      ['keys', 'metering', 'pkcs11', 'module'],
      ['keys', 'account'],
      ['data'],
      ['board'],
      ['page', 'password_file'],
      ['page', 'listen'],
      ['mqtt', 'ca'],
      ['meters', 'grid', 'key_file'],
      ['broker_tls', 'key'],
      ['version'],
    ]) {
      const { status, value } = await post({ version, edits: [SLOT, { path, value: '/tmp/x' }] })
      assert.is(status, 403, path.join('.'))
      assert.is(value.code, 'config.file-only')
    }
    assert.is(text(), COMMENTED)
  }))

test('a body that is none is refused', () =>
  editing(async ({ get, post, text }) => {
    const { version } = await get()
    for (const body of [
      '',
      '[]',
      'null',
      '{"version": 1, "edits": []}',
      { version, edits: [] },
      { version, edits: [SLOT], more: 1 },
      { version, edits: [{ ...SLOT, value: 45 }] },
      { version, edits: [{ ...SLOT, path: [] }] },
      { version, edits: [{ ...SLOT, path: ['trade', -1] }] },
      { version, edits: [{ ...SLOT, path: 'trade' }] },
      { version, edits: [{ ...SLOT, value: 'x'.repeat(1001) }] },
      { version, edits: Array.from({ length: 201 }, () => SLOT) },
      { version, edits: [{ path: Array.from({ length: 9 }, () => 'a'), value: 'x' }] },
    ]) {
      assert.is((await post(body)).status, 400, JSON.stringify(body).slice(0, 60))
    }
    // Names that reach into every object of the program are names like any other, and unknown.
    for (const name of ['__proto__', 'constructor']) {
      assert.is((await post(`{"version":"${version}","edits":[{"path":["${name}","x"],"value":"1"}]}`)).status, 422)
    }
    assert.is(text(), COMMENTED)
  }))

test('a file that is gone or has mistakes by now is said, with its reason', () =>
  editing(async ({ get, post, file, web, known }) => {
    writeFileSync(file, COMMENTED.replace('slot: 30s', 'slots: 30s'))
    const { settings, mistakes, version } = await get()
    assert.equal(settings, [])
    assert.ok(mistakes.some(({ what }: { what: string }) => what === 'unknown key "slots"'))
    // An edit may well be what mends it.
    assert.is((await post({ version, edits: [{ path: ['trade', 'slots'], value: null }, SLOT] })).status, 200)
    rmSync(file)
    const gone = await web.ask('GET', '/api/config', known)
    assert.is(gone.status, 503)
    assert.is(said('get', gone).code, 'file.missing')
  }))

test.run()
