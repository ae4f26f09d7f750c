/** `tieline doctor`: what facts mean, and a folder of this machine that it looks at. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { decide, type Facts } from '../../../agent/cli/doctor/decide.ts'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { releasesGpio } from '../../../drivers/process/machine.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('tieline doctor')
const NOW = instant(1_795_000_000_000)
const DAY = 86_400_000
const own = { kind: 'file', mode: 0o600, mayRead: true, mayWrite: true } as const

const WELL: Facts = {
  ...{ now: NOW, node: '20.20.2', timeZone: 'Europe/Berlin', timeQuality: 'synchronised', running: true },
  secrets: [{ what: 'account key', file: '/etc/tieline/account', is: own }],
  data: { folder: '/var/lib/tieline', is: { ...own, kind: 'folder', mode: 0o700 } },
  disk: { freeBytes: 4e9, totalBytes: 8e9 },
  wearPerDay: 50_000_000,
  devices: [{ line: 'rs485', path: '/dev/ttyUSB0', is: { ...own, kind: 'device', mode: 0o660 } }],
  page: { host: '127.0.0.1', port: 8480, state: 'EADDRINUSE', guarded: false },
  releasesGpio: true,
  unit: { ActiveState: 'active', SubState: 'running', WatchdogUSec: '10s', NRestarts: '0' },
  brokers: [{ url: 'mqtt://127.0.0.1', fault: undefined }],
  ledger: {
    ...{ chain: 'street-1', height: 100n, overBrokers: [] },
    nodes: ['a', 'b'].map(node => ({
      ...{ name: `http://${node}`, header: { found: 'ab'.repeat(32) } },
      status: { found: { chainId: 'street-1', height: 100n, node } },
    })),
  },
  certificates: [{ file: 'ca.pem', valid: [{ subject: 'CN=ca', from: NOW - DAY, to: NOW + 90 * DAY }] }],
  journal: { found: { records: 12, cuts: 0 } },
  keys: 'open',
  stored: [{ what: 'metering key', where: 'metering in board', fault: undefined }],
}

const wrong = (change: Partial<Facts>) =>
  decide({ ...WELL, ...change }).flatMap(({ what, verdict, text, hint }) => {
    if (verdict === 'pass') return []
    assert.ok(hint !== undefined && hint !== '', `${what} says nothing of what to do`)
    return [`${verdict} ${what}: ${text}`]
  })

test('of a Raspberry Pi 5 the driver of its own pins is asked, whatever another one says', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tieline-board-'))
  const put = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  assert.is(await releasesGpio(root), undefined)
  put('sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs', 'Y\n')
  put('proc/device-tree/compatible', 'raspberrypi,4-model-b\0brcm,bcm2711\0')
  assert.is(await releasesGpio(root), false)
  put('proc/device-tree/compatible', 'raspberrypi,5-model-b\0brcm,bcm2712\0')
  assert.is(await releasesGpio(root), undefined)
  put('sys/module/pinctrl_rp1/parameters/persist_gpio_outputs', 'N\n')
  assert.is(await releasesGpio(root), true)
  rmSync(root, { recursive: true })
})

test('nothing is wrong with a site that is well', () => assert.equal(wrong({}), []))

test('a witness behind the brokers is a witness', () => {
  const { nodes } = WELL.ledger!
  assert.equal(wrong({ ledger: { ...WELL.ledger!, nodes: nodes.slice(0, 1), overBrokers: ['mqtt:relay-1'] } }), [])
})

test('each thing that is wrong is named, with what to do, and nothing else is', () => {
  const node = (chainId: string, height: bigint) => ({ name: 'http://b', status: { found: { chainId, height } } })
  const [first, second] = WELL.ledger!.nodes
  const ledger = (...nodes: NonNullable<Facts['ledger']>['nodes']) => ({ ledger: { ...WELL.ledger!, nodes } })
  const twin = { ...second!, status: { found: { chainId: 'street-1', height: 100n, node: 'a' } } }
  const cases: readonly (readonly [Partial<Facts>, string])[] = [
    [{ node: '20.18.3' }, 'fail node: Node 20.18.3'],
    [{ timeQuality: 'informative' }, 'warn clock: informative: 2026-11-18T11:06:40.000Z'],
    [
      { secrets: [{ what: 'account key', file: 'k', is: { ...own, mode: 0o640 } }] },
      'fail account key: k is open to others',
    ],
    [
      { secrets: [{ what: 'account key', file: 'k', is: undefined }] },
      'fail account key: k is not there, or nobody may look',
    ],
    [
      { secrets: [{ what: 'passphrase', file: 'k', is: { ...own, mayRead: false } }] },
      'fail passphrase: k cannot be read by this user',
    ],
    [{ data: { folder: 'd', is: { ...own, kind: 'folder', mode: 0o755 } } }, 'warn data: d is open to others'],
    [{ data: { folder: 'd', is: { ...own, kind: 'folder', mayWrite: false } } }, 'fail data: d cannot be written'],
    [{ disk: { freeBytes: 1 << 20, totalBytes: 8e9 } }, 'fail disk: 1 MiB of 7629 MiB free'],
    [{ disk: { freeBytes: 100 << 20, totalBytes: 8e9 } }, 'warn disk: 100 MiB of 7629 MiB free'],
    [{ wearPerDay: 4e9 }, 'warn wear: 3814 MiB a day are written'],
    [{ devices: [{ line: 'a', path: '/dev/x', is: undefined }] }, 'fail line a: /dev/x is not there'],
    [
      { devices: [{ line: 'a', path: '/dev/x', is: { ...own, mayWrite: false } }] },
      'fail line a: /dev/x may not be opened by this user',
    ],
    [{ releasesGpio: false }, 'fail gpio: an output stays driven after the agent dies'],
    [
      { running: false },
      'fail page: 127.0.0.1:8480 cannot be listened to (EADDRINUSE), and no agent of this site answers',
    ],
    [{ page: { ...WELL.page!, host: '0.0.0.0' } }, 'fail page: 0.0.0.0:8480 is open to everybody'],
    [{ unit: { ...WELL.unit, ActiveState: 'failed' } }, 'fail service: failed (running), started anew 0 times'],
    [{ unit: { ...WELL.unit, WatchdogUSec: '0' } }, 'fail watchdog: nothing ends an agent that hangs'],
    [{ brokers: [{ url: 'mqtt://b', fault: { code: 'bus.down' } }] }, 'fail broker: mqtt://b: bus.down'],
    [ledger(first!, node('other', 5n)), 'fail ledger: http://b serves other, not street-1'],
    [ledger(first!, node('street-1', 5n)), 'warn ledger: its nodes are 95 blocks apart'],
    [ledger(first!), 'fail ledger: no witness is configured'],
    [ledger(first!, twin), 'warn ledger: http://b says that it is the node behind http://a'],
    [
      ledger(first!, { ...second!, header: { found: 'cd'.repeat(32) } }),
      'fail ledger: two headers at height 100: abababababababab of http://a; cdcdcdcdcdcdcdcd of http://b',
    ],
    [
      ledger(first!, { ...second!, header: { fault: { code: 'rpc.timeout' } } }),
      'warn ledger: http://b gives no header of height 100: rpc.timeout',
    ],
    [
      { stored: [{ what: 'metering key', where: 'metering in board', fault: { code: 'keys.no-token' } }] },
      'fail metering key: metering in board: keys.no-token',
    ],
    [
      { certificates: [{ file: 'c', valid: [{ subject: 'CN=c', from: 0, to: NOW - 1 }] }] },
      'fail certificate: c (CN=c) until 2026-11-18T11:06:39.999Z: it is over',
    ],
    [
      { certificates: [{ file: 'c', valid: [{ subject: 'CN=c', from: 0, to: NOW + DAY }] }] },
      'warn certificate: c (CN=c) until 2026-11-19T11:06:40.000Z',
    ],
    [{ certificates: [{ file: 'c', valid: undefined }] }, 'fail certificate: c holds none that can be read'],
    [{ journal: { fault: { code: 'journal.corrupt' } } }, 'fail journal: journal.corrupt'],
    [{ keys: { code: 'keys.wrong-passphrase' } }, 'fail keys: keys.wrong-passphrase'],
  ]
  for (const [change, expected] of cases) assert.equal(wrong(change), [expected])
})

test('on this machine it finds what is there, what is not, and a port in use, and changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-doctor-'))
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  mkdirSync(join(folder, 'data'), { mode: 0o700 })
  mkdirSync(join(folder, 'keys'))
  for (const key of ['account', 'metering'])
    writeFileSync(join(folder, 'keys', key), 'secret-of-the-test', { mode: 0o600 })
  chmodSync(join(folder, 'keys/metering'), 0o644)
  const config = join(folder, 'site.yaml')
  const keys = '{account: keys/account, metering: keys/metering, sealing: keys/sealing}'
  writeFileSync(
    config,
    `${smallSite(keys).replace('lan: {tcp: 127.0.0.1:9}', 'lan: {tcp: 127.0.0.1:9}, rs485: {serial: /dev/serial/by-id/none}')}page: {listen: 127.0.0.1:${port}}\n`,
  )
  const before = readdirSync(folder, { recursive: true })
  const said = await runTieline(['doctor', '--json', '--config', config])
  other.close()
  assert.is(said.exit, EXIT.no, said.err)
  const [{ ok, findings }] = said.json()
  const of = (what: string) => findings.find((one: { what: string }) => one.what === what)
  assert.is(ok, false)
  assert.is(of('configuration').verdict, 'pass')
  assert.is(of('account key').verdict, 'pass')
  assert.equal([of('metering key').verdict, of('metering key').hint], ['fail', `chmod 600 ${folder}/keys/metering`])
  assert.match(of('sealing key').text, /is not there/)
  assert.is(of('line rs485').verdict, 'fail')
  assert.match(of('page').text, /EADDRINUSE/)
  assert.match(of('broker').text, /^mqtt:\/\/127\.0\.0\.1:9: /)
  assert.equal([of('data').verdict, of('journal').verdict], ['pass', 'warn'])
  assert.is(said.out.includes('secret-of-the-test'), false)
  assert.equal([readdirSync(folder, { recursive: true }), existsSync(join(folder, 'data/journal'))], [before, false])
  const text = await runTieline(['doctor', '--config', config])
  assert.match(text.out, /\nfail {2}line rs485: \/dev\/serial\/by-id\/none is not there\n {6}plug it in; /)
  rmSync(folder, { recursive: true })
}, 90_000)

test.run()
