/**
 * `tieline run` as a process in surroundings that are wrong: what keeps it from starting is one line and an exit code, everything
 * else is named and the meter is read. Judged by the meter's own count, and by the journal as `tieline verify` reads it afterwards.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { makeAuthority, noOpenssl } from '../../drivers/bus/mosquitto-certificates.ts'
import { freePort } from '../../free-port.ts'
import { assert, suite } from '../../harness.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'
import { ensureBuiltPage } from './built-page.ts'
import { judged, linesWith, type Signed, signedIn } from './journal-judge.ts'
import { meterAndBoard, type RunningTieline, siteText, startTieline } from './site-process.ts'
import { mount, noMount, temporary, unmount } from './small-mount.ts'

await ensureBuiltPage()
const test = suite('run as a process in bad surroundings')

const LONG_MS = 420_000
const NO_PAGE = 'page: {off: true}\n'

// --- What keeps it from starting

/** Without root's right to pass over modes and owners; undefined where that cannot be given up. */
const AS_OWNER = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', '--inh-caps=-all'] as const
const before: readonly string[] | undefined =
  process.getuid?.() !== 0
    ? []
    : spawnSync(AS_OWNER[0], [...AS_OWNER.slice(1), 'true']).status === 0
      ? AS_OWNER
      : undefined

interface Refusal {
  readonly what: string
  readonly make: (data: string) => void
  readonly exit: number
  readonly said: RegExp
  /** Needs modes and owners to count. */
  readonly owned?: true
  readonly mounts?: true
}

const REFUSALS: readonly Refusal[] = [
  {
    ...{ what: 'may not be written', exit: 77, owned: true, said: /errno=EACCES\): .*this user may write there/ },
    make: data => {
      mkdirSync(data)
      chmodSync(data, 0o500)
    },
  },
  {
    ...{ what: "is another user's", exit: 77, owned: true, said: /errno=EACCES\): .*this user may write there/ },
    make: data => {
      mkdirSync(data, { mode: 0o700 })
      if (process.getuid?.() === 0) chownSync(data, 65_534, 65_534)
      else chmodSync(data, 0)
    },
  },
  {
    ...{ what: 'is a file', exit: 74, said: /errno=ENOTDIR\): a file has the name of a folder above/ },
    make: data => writeFileSync(data, ''),
  },
  {
    ...{
      what: 'has a file where a folder is to be',
      exit: 74,
      said: /errno=EEXIST\): a file has the name of the folder/,
    },
    make: data => {
      mkdirSync(data)
      writeFileSync(join(data, 'state'), '')
    },
  },
  {
    ...{ what: 'is a link to nowhere', exit: 74, said: /folder\.not-made .*errno=E(NOTDIR|EXIST|NOENT)\): / },
    make: data => symlinkSync('/nowhere/at/all', data),
  },
  {
    ...{ what: 'is on a file system to read only', exit: 74, mounts: true, said: /errno=EROFS\): .*read-only/ },
    make: data => mount(data, 'ro'),
  },
  {
    ...{ what: 'has no room for a name', exit: 74, mounts: true, said: /errno=ENOSPC\): the file system is full/ },
    make: data => mount(data, 'nr_inodes=1'),
  },
  {
    ...{ what: 'has no room for a journal', exit: 74, mounts: true, said: /journal\.full: free some space/ },
    make: data => mount(data, 'size=64k'),
  },
]

for (const { what, make, exit, said, owned, mounts } of REFUSALS) {
  test.skipIf(
    (mounts ? noMount : undefined) ?? (owned && before === undefined ? 'no-mount' : undefined),
    `its data folder ${what}: one line says so, and the exit code is ${exit}`,
    async () => {
      const folder = temporary()
      const file = join(folder, 'site.yaml')
      writeFileSync(file, siteText('/dev/nothing', NO_PAGE))
      make(join(folder, 'data'))
      const site = startTieline(['run', '--config', file, '--json'], { before: owned ? before! : [] })
      const ran = await site.ended
      unmount(join(folder, 'data'))
      chmodSync(folder, 0o700)
      rmSync(folder, { recursive: true, force: true })
      assert.equal([ran.exit, ran.out], [exit, ''], ran.err)
      const lines = ran.err.trimEnd().split('\n')
      const last = lines.filter(line => line.startsWith('maple does not start: '))
      assert.is(last.length, 1, ran.err)
      assert.is(last[0], lines.at(-1))
      assert.match(last[0]!, said)
      assert.not.match(ran.err, /^ {4}at /m, 'no stack')
    },
    LONG_MS,
  )
}

// --- What it goes on with

interface Around {
  readonly folder: string
  readonly file: string
  readonly site: RunningTieline
  readonly requests: () => number
}

/** A site that runs while `work` looks on; ended in order, and its journal judged. Hands back what it said and what it signed. */
async function running(
  rest: string,
  work: (around: Around) => Promise<void>,
  before: (folder: string) => void = () => {},
): Promise<{ readonly err: string; readonly records: readonly Signed[] }> {
  const folder = temporary()
  const meter = await meterAndBoard()
  const file = join(folder, 'site.yaml')
  writeFileSync(file, siteText(meter.path, rest))
  before(folder)
  const site = startTieline(['run', '--config', file, '--json'])
  try {
    await site.until(() => meter.requests() > 20)
    await site.until(async () => (await signedIn(folder)) > 0)
    await work({ folder, file, site, requests: meter.requests })
    const { exit, err } = await site.end()
    assert.is(exit, 0, err)
    return { err, records: judged(folder) }
  } finally {
    await site.end('SIGKILL')
    await meter.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The meter is asked some readings more, and one more of them is signed. */
async function goesOn({ site, requests, folder }: Around): Promise<void> {
  const [before, signed] = [requests(), await signedIn(folder)]
  await site.until(async () => requests() > before + 20 && (await signedIn(folder)) > signed)
}

test(
  'the port of its page is taken: one line, and it reads and signs on',
  async () => {
    const other = createServer((_, response) => response.writeHead(404).end())
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    try {
      const { err } = await running(`page: {listen: '127.0.0.1:${port}'}\n`, goesOn)
      assert.is(linesWith(err, 'page is raised').length, 1, err)
      assert.match(err, /page is raised: http\.port-busy .*another program listens there/)
    } finally {
      other.close()
    }
  },
  LONG_MS,
)

test(
  'its configuration is taken away while it runs: it reads and signs on, its page says what is missing, and it ends in order',
  async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const { err } = await running(`page: {listen: '${url.slice('http://'.length)}'}\n`, async around => {
      const { site, file } = around
      await site.until(() => site.said().includes(`page at ${url}`))
      const text = readFileSync(file)
      assert.is((await fetch(`${url}/api/config`)).status, 200)
      rmSync(file)
      const answer = await fetch(`${url}/api/config`)
      assert.is(answer.status, 503)
      assert.match(await answer.text(), /file\.missing/)
      assert.is((await fetch(`${url}/api/health`)).status, 200)
      await goesOn(around)
      writeFileSync(file, text)
      assert.is((await fetch(`${url}/api/config`)).status, 200)
    })
    assert.not.match(err, /^error/m)
  },
  LONG_MS,
)

test.skipIf(
  noMosquitto ?? noOpenssl,
  'files of TLS are missing and its own certificate is over: it reads and signs on, and meets its broker once they are right',
  async () => {
    const made = temporary()
    const ours = makeAuthority(made, 'ours')
    const [server, over, good] = [ours.issue('broker'), ours.issue('old', { when: 'over' }), ours.issue('maple')]
    const conf = [
      ...['listener 1 127.0.0.1', `cafile ${ours.ca}`, `certfile ${server.cert}`, `keyfile ${server.key}`],
      ...['require_certificate true', 'use_identity_as_username true'],
    ]
    const broker = await startMosquitto({ conf, folder: made })
    const rest = (ca: string) =>
      `brokers: ['mqtts://localhost:${broker.port}']\nbroker_tls: {ca: ${ca}, cert: maple.pem, key: maple.key}\n${NO_PAGE}`
    const put = (folder: string, { cert, key }: { readonly cert: string; readonly key: string }) => {
      writeFileSync(join(folder, 'maple.key'), readFileSync(key), { mode: 0o600 })
      writeFileSync(join(folder, 'maple.pem'), readFileSync(cert))
    }
    try {
      const missing = await running(rest(ours.ca), async around => {
        const { site, folder } = around
        await site.until(() => site.said().includes('brokers is raised'))
        await goesOn(around)
        put(folder, good)
        await site.until(() => site.said().includes('brokers is cleared'))
      })
      assert.is(linesWith(missing.err, 'brokers is raised').length, 1, missing.err)
      assert.match(missing.err, /brokers is raised: file\.missing \(file=.*maple\.pem\)/)
      assert.match(broker.log(), /connected from .*u'maple'/)
      const ended = await running(
        rest(ours.ca),
        async around => {
          await around.site.until(() => around.site.said().includes('bus.own-certificate-refused'))
          await goesOn(around)
        },
        folder => put(folder, over),
      )
      assert.is(linesWith(ended.err, 'bus.own-certificate-refused').length, 1, ended.err)
      assert.match(ended.err, /brokers is raised: bus\.none-up/)
      assert.not.match(missing.err + ended.err, /PRIVATE KEY/)
    } finally {
      await broker.close()
      rmSync(made, { recursive: true, force: true })
    }
  },
  LONG_MS,
)

test.run()
