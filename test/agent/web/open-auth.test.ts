/** What the page's settings make: files read, faults told, and a token for this machine's own commands. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { openAuth } from '../../../agent/web/open-auth.ts'
import { readOwnToken } from '../../../agent/web/own-token.ts'
import { relayRoutes } from '../../../agent/web/relay-routes.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { writePasswordFile } from '../../../drivers/keys/password-file.ts'
import { addToken } from '../../../drivers/keys/token-file.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from '../cli/cli-run.ts'
import { lineBench } from '../relays/line-bench.ts'
import { smallSite } from '../small-site.ts'
import { ask, cookieOf, FORM, PASSWORD, stillTimers } from './guarded-web.ts'

const test = suite('page access')

const world = { clock: createSystemTime().clock, entropy: systemEntropy, log: () => {}, openDisk }

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-page-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('a password and tokens of the files open the page, and tieline relay asks with a token of its own', () =>
  inFolder(async folder => {
    const page = { host: '127.0.0.1', port: 0, off: false }
    const files = { passwordFile: join(folder, 'page.password'), tokenFile: join(folder, 'page.tokens') }
    must(await writePasswordFile(files.passwordFile, PASSWORD, systemEntropy))
    const token = must(await addToken(files.tokenFile, 'prometheus', systemEntropy))
    const data = join(folder, 'data')
    const auth = must(await openAuth({ site: 'maple', data, page: { ...page, ...files } }, world))!
    const bench = await lineBench()
    await bench.pass(4000)
    const web = must(
      await createWeb({
        ...{ serve: serveHttp, host: '0.0.0.0', port: 0, page: [], everyMs: 1000, timers: stillTimers, auth },
        relays: relayRoutes(bench.agents.home.control, 'maple', ['L1']),
        snapshot: () => assert.unreachable() as never,
        onBug: error => assert.unreachable(String(error)),
      }),
    )
    try {
      const status = async (headers: Record<string, string>) =>
        (await ask(web.port, 'GET', '/api/relays', headers)).status
      const login = await ask(web.port, 'POST', '/login', FORM, new URLSearchParams({ password: PASSWORD }).toString())
      assert.equal(
        [
          await status({}),
          await status({ authorization: `Bearer ${token}` }),
          await status({ cookie: cookieOf(login) }),
        ],
        [401, 200, 200],
      )
      assert.is((await ask(web.port, 'POST', '/login', FORM, 'password=wrong')).status, 403)

      assert.is(statSync(join(data, 'page', 'token')).mode & 0o777, 0o600)
      const file = join(folder, 'site.yaml')
      const listen = `{listen: '127.0.0.1:${web.port}', password_file: page.password}`
      const text = smallSite(`{seed: ${'01'.repeat(32)}}`).replace(/^data: .*$/m, 'data: data')
      writeFileSync(file, `${text}bench: true\npage: ${listen}\n`)
      const said = await runTieline(['relay', 'status', '--config', file])
      assert.equal([said.exit, said.err], [EXIT.ok, ''])
      assert.match(said.out, /^L1, buyer/)
      rmSync(join(data, 'page', 'token'))
      const refused = await runTieline(['relay', 'manual', 'on', '--config', file])
      assert.is(refused.exit, EXIT.permission, 'without it nothing is said')
    } finally {
      await web.close()
    }
  }))

test('a new start makes a new token, and what is not there or not guarded is a fault', () =>
  inFolder(async folder => {
    const open = (files: { readonly passwordFile?: string; readonly tokenFile?: string }) =>
      openAuth({ site: 'maple', data: folder, page: { host: '127.0.0.1', port: 1, off: false, ...files } }, world)
    assert.is(must(await open({})), undefined)
    assert.is(await readOwnToken(folder), undefined)
    const tokenFile = join(folder, 'tokens')
    must(await addToken(tokenFile, 'a', systemEntropy))
    must(await open({ tokenFile }))
    const first = await readOwnToken(folder)
    const again = must(await open({ tokenFile }))!
    const second = await readOwnToken(folder)
    assert.is.not(first, second)
    const knock = { method: 'GET', path: '/', cookie: undefined, sameOrigin: true, wantsPage: false }
    const kinds = [first, second].map(token => again.gate({ ...knock, authorization: `Bearer ${token}` }).kind)
    assert.equal(kinds, ['json', 'admitted'])
    const exposed = join(folder, 'exposed')
    writeFileSync(exposed, 'x', { mode: 0o644 })
    for (const [files, code] of [
      [{ passwordFile: join(folder, 'none') }, 'file.missing'],
      [{ passwordFile: exposed }, 'keys.exposed'],
      [{ passwordFile: tokenFile }, 'page.password-file'],
      [{ tokenFile, passwordFile: join(folder, 'none') }, 'file.missing'],
      [{ tokenFile: exposed }, 'keys.exposed'],
    ] as const) {
      const opened = await open(files)
      assert.is(opened.ok ? 'ok' : opened.fault.code, code)
    }
  }))

test.run()
