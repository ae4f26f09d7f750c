/** Of each setting that is listed: it is said to be changeable where a change is taken, and nowhere else. */
import { configRoutes } from '../../../agent/web/config-route.ts'
import { assert, suite } from '../../harness.ts'
import { guardedWeb, JSON_TYPE } from './guarded-web.ts'
import { configFile } from './page-config.ts'

const test = suite('settings that the page may change')

// biome-ignore lint/suspicious/noExplicitAny: answers of the API, which other tests hold against its document.
type Json = any

test('what the list calls editable is what POST takes, setting by setting', async () => {
  const config = configFile()
  const web = await guardedWeb({ site: configRoutes(config.file, true) })
  const known = { ...JSON_TYPE, authorization: `Bearer ${web.token}` }
  const get = async (): Promise<Json> => JSON.parse((await web.ask('GET', '/api/config', known)).text)
  try {
    const { settings } = await get()
    const named = (editable: boolean) =>
      settings.filter((each: Json) => each.editable === editable).map(({ path }: Json) => path.join('.'))
    const fixed: readonly string[] = named(false)
    for (const name of ['site', 'data', 'keys.account', 'keys.sealing', 'page.listen', 'version'])
      assert.ok(fixed.includes(name), `${name} of ${fixed.join()}`)
    for (const name of ['trade.slot', 'meters.grid.every', 'role']) assert.ok(named(true).includes(name), name)
    for (const { path, value, editable } of settings) {
      const before = config.text()
      const { version } = await get()
      const body = JSON.stringify({ version, edits: [{ path, value }] })
      const answer = await web.ask('POST', '/api/config', known, body)
      const { code } = JSON.parse(answer.text)
      const isFixed = answer.status === 403 && code === 'config.file-only'
      assert.is(isFixed, !editable, `${path.join('.')}: ${answer.status} ${answer.text.slice(0, 200)}`)
      if (isFixed) assert.is(config.text(), before)
      // What it may take and does not, as an index of a list, is another reason, which is named.
      else assert.ok([200, 422].includes(answer.status), `${path.join('.')}: ${answer.status}`)
    }
  } finally {
    await web.close()
    config.remove()
  }
})

test.run()
