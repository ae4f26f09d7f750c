/** Sites on a ledger of one's own: named when it begins, or enrolled while it runs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tielineLedger } from '../../../agent/validator/cli.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { assert, suite } from '../../harness.ts'
import { keepTerminal } from '../../terminal.ts'

const test = suite('enrolment')
const { clock, timers } = createSystemTime()
const DEADLINE_MS = 120_000

const folder = mkdtempSync(join(tmpdir(), 'tieline-enrol-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

const key = (n: number) => createSigner(new Uint8Array(32).fill(n)).publicKey
const hexKey = (n: number) => toHex(key(n))
const P256 = toHex(createP256Signer(new Uint8Array(32).fill(7)).publicKey)
const METER = `41000777:feeder-3:${hexKey(1)}:${hexKey(2)}`

function start(...args: string[]) {
  const kept = keepTerminal()
  let interrupt = () => {}
  const interrupted = new Promise<void>(resolve => {
    interrupt = resolve
  })
  const exit = tielineLedger(args, { terminal: kept.terminal, clock, timers, interrupted })
  return { ...kept, exit, interrupt: () => interrupt() }
}

async function run(...args: string[]) {
  const { out, err, exit, interrupt } = start(...args)
  interrupt()
  return { exit: await exit, out: out(), err: err() }
}

/** A dev ledger for the length of `work`, which is given its address. */
async function withDev(args: readonly string[], work: (url: string) => Promise<void>): Promise<void> {
  const dev = start('dev', '--port', '0', '--interval', '20', ...args)
  try {
    let ended = false
    void dev.exit.then(() => {
      ended = true
    })
    while (!dev.out().includes('trust:')) {
      assert.not.ok(ended, dev.err())
      await timers.sleep(10)
    }
    await work(/http:\/\/127\.0\.0\.1:\d+/.exec(dev.out())![0])
  } finally {
    dev.interrupt()
    assert.is(await dev.exit, EXIT.ok, dev.err())
  }
}

/**
 * As `export` sees the state of a node, other code than wrote it: not before the newest block's, whose AppHash only the
 * next header tells.
 */
async function stateOf(url: string): Promise<string> {
  const { result } = (await (await fetch(`${url}/status`)).json()) as {
    result: { sync_info: { latest_block_height: string } }
  }
  for (;;) {
    const { exit, out } = await run('export', url)
    if (exit === EXIT.ok && JSON.parse(out.split('\n', 1)[0]!).height >= Number(result.sync_info.latest_block_height))
      return out
    await timers.sleep(20)
  }
}

test(
  'a dev ledger begins with the accounts, meters and roles that are named',
  () =>
    withDev(['--account', P256, '--meter', METER, '--role', `regulator:${hexKey(3)}`], async url => {
      // biome-ignore lint/suspicious/noExplicitAny: as it is served.
      const { result } = (await (await fetch(`${url}/genesis`)).json()) as any
      const { accounts, meters, roles } = result.genesis.app_state
      const keys = accounts.map((one: { public_key: string }) => Buffer.from(one.public_key, 'base64').toString('hex'))
      assert.is(keys.length, 6 + 3, 'the operator, five rich accounts and three of ours')
      for (const one of [P256, hexKey(1), hexKey(3)]) assert.ok(keys.includes(one), one)
      assert.equal(
        meters.map((one: { meter_id: string; line: string; owner: string }) => [one.meter_id, one.line, one.owner]),
        [['41000777', 'feeder-3', toHex(addressOf(key(1)))]],
      )
      assert.equal(roles, [{ role: 'regulator', holder: toHex(addressOf(key(3))) }])
    }),
  DEADLINE_MS,
)

test(
  'the operator of a ledger that runs opens accounts, enrols and grants, and twice the same is once',
  () =>
    withDev([], async url => {
      const named = ['--meter', METER, '--account', P256, '--role', `regulator:${hexKey(1)}`, '--coins', '12.5']
      const first = await run('enrol', url, ...named)
      assert.is(first.exit, EXIT.ok, first.err)
      assert.is(first.out.split('\n').filter(line => line !== '').length, 4)
      assert.not.match(first.out, 'already')
      const again = await run('enrol', url, ...named, '--json')
      assert.is(again.exit, EXIT.ok, again.err)
      const said = JSON.parse(again.out)
      assert.is(said.chain_id, 'tieline-dev-1')
      assert.equal(
        said.done.map((one: { made: boolean }) => one.made),
        [false, false, false, false],
      )
      const state = await stateOf(url)
      for (const id of [
        `account/${toHex(addressOf(key(1)))}`,
        'meter/41000777',
        `role/regulator/${toHex(addressOf(key(1)))}`,
      ])
        assert.match(state, id)
      const audit = JSON.parse((await run('audit', url, '--json')).out)
      assert.is(audit.ok, true)
      assert.is(audit.money.residue, 0)

      const next = await run('enrol', url, '--account', hexKey(11), '--account', hexKey(12))
      assert.is(next.exit, EXIT.ok, next.err)
      const moved = await run('enrol', url, '--meter', METER.replace('feeder-3', 'feeder-4'))
      assert.is(moved.exit, EXIT.no)
      assert.match(moved.err, /enrol\.otherwise .*revoked first/)
      const poor = await run('enrol', url, '--account', hexKey(9), '--coins', '999999999')
      assert.is(poor.exit, EXIT.no)
      assert.match(poor.err, /enrol\.refused .*ledger\.funds/)
      const stranger = await run('enrol', url, '--account', hexKey(9), '--seed', 'another')
      assert.is(stranger.exit, EXIT.configuration)
      assert.match(stranger.err, /enrol\.not-the-operator .*--operator operator_key\.json/)
    }),
  DEADLINE_MS,
)

test(
  "the operator's key of a network signs as its file holds it, and is never shown",
  async () => {
    const network = join(folder, 'network')
    const made = await run('init', network, '--validators', '1', '--chain', 'street-9', '--meter', METER)
    assert.is(made.exit, EXIT.ok, made.err)
    const genesis = JSON.parse(readFileSync(join(network, 'genesis.json'), 'utf8'))
    assert.is(genesis.app_state.accounts.length, 2, 'the operator and ours')
    assert.is(genesis.app_state.meters[0].meter_id, '41000777')
    const file = join(network, 'operator_key.json')
    const secret = JSON.parse(readFileSync(file, 'utf8')).priv_key.value
    // Without the validators, whose keys only the nodes have.
    const { validators: _, ...state } = genesis.app_state
    const alone = join(folder, 'alone.json')
    writeFileSync(alone, JSON.stringify({ ...genesis, app_state: state }))
    await withDev(['--genesis', alone], async url => {
      const opened = await run('enrol', url, '--account', hexKey(5), '--operator', file)
      assert.is(opened.exit, EXIT.ok, opened.err)
      const wrong = join(folder, 'wrong.json')
      writeFileSync(wrong, secret)
      const refused = await run('enrol', url, '--account', hexKey(6), '--operator', wrong)
      assert.is(refused.exit, EXIT.configuration)
      for (const said of [opened.out, opened.err, refused.out, refused.err])
        assert.not.ok(said.includes(secret.slice(0, 20)))
    })
  },
  DEADLINE_MS,
)

test('what is no key, comes twice or is another kind of key is refused with the reason, and nothing begins', async () => {
  const uncompressed = `04${'11'.repeat(64)}`
  const offCurve = `02${'ff'.repeat(32)}`
  const smallOrder = `01${'00'.repeat(31)}`
  for (const [says, ...args] of [
    [/must be 64 hexadecimal digits/, '--account', 'ab'],
    [/must be 64 hexadecimal digits/, '--account', `${hexKey(1)}zz`],
    [/uncompressed point: a P-256 key is 66/, '--account', uncompressed],
    [/is no P-256 key/, '--account', offCurve],
    [/is no Ed25519 key \(a point of small order\)/, '--account', smallOrder],
    [/comes twice/, '--account', hexKey(1), '--account', hexKey(1).toUpperCase()],
    [/SERIAL:LINE:ACCOUNT:KEY/, '--meter', `:L1:${hexKey(1)}:${hexKey(2)}`],
    [/SERIAL:LINE:ACCOUNT:KEY/, '--meter', hexKey(1)],
    [/line "L 1" is not/, '--meter', `4711:L 1:${hexKey(1)}:${hexKey(2)}`],
    [/its account must be/, '--meter', `4711:L1:${hexKey(1).slice(2)}:${hexKey(2)}`],
    [/its metering key is no P-256/, '--meter', `4711:L1:${hexKey(1)}:${offCurve}`],
    [/account key for its metering key/, '--meter', `4711:L1:${hexKey(1)}:${hexKey(1)}`],
    [
      /serial 4711 comes twice/,
      '--meter',
      `4711:L1:${hexKey(1)}:${hexKey(2)}`,
      '--meter',
      `4711:L2:${hexKey(1)}:${P256}`,
    ],
    [/unknown role "regulater", did you mean "regulator"/, '--role', `regulater:${hexKey(1)}`],
    [/comes twice/, '--role', `mint:${hexKey(1)}`, '--role', `mint:${hexKey(1)}`],
  ] as const)
    for (const command of [
      ['dev', '--port', '0'],
      ['enrol', 'http://127.0.0.1:9'],
      ['init', join(folder, 'never')],
    ]) {
      const { exit, out, err } = await run(...command, ...args)
      assert.is(exit, EXIT.usage, `${command[0]} ${args.join(' ')}: ${err}`)
      assert.match(err, says)
      assert.is(out, '')
    }
  // A serial number of this form is one.
  const colons = await run('enrol', 'http://127.0.0.1:9', '--meter', `A:B:L1:${hexKey(1)}:${hexKey(2)}`)
  assert.is(colons.exit, EXIT.unavailable, colons.err)
  assert.is((await run('enrol', 'http://127.0.0.1:9')).exit, EXIT.usage)
  assert.is((await run('enrol', 'http://127.0.0.1:9', '--account', hexKey(1), '--coins', '0')).exit, EXIT.usage)
})

test(
  'a folder whose ledger began without somebody says so, and goes on with whoever it began with',
  async () => {
    const data = join(folder, 'data')
    await withDev(['--data', data, '--meter', METER], async () => {})
    await withDev(['--data', data, '--meter', METER], async () => {})
    const other = await run('dev', '--port', '0', '--data', data, '--account', hexKey(4))
    assert.is(other.exit, EXIT.configuration)
    assert.match(other.err, /began without what is named here: .*tieline-ledger enrol/)
    const file = await run('dev', '--port', '0', '--genesis', 'genesis.json', '--account', hexKey(4))
    assert.is(file.exit, EXIT.usage)
    assert.match(file.err, 'go into the file of --genesis')
  },
  DEADLINE_MS,
)

test(
  'a dev ledger listens at a second address where sites are to have a witness, and a port that is taken is told',
  async () => {
    const dev = start('dev', '--port', '0', '--interval', '20', '--witness', '0')
    while (!dev.out().includes('witness:')) await timers.sleep(10)
    const [node, witness] = [...dev.out().matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)]
    assert.is.not(node![1], witness![1])
    // biome-ignore lint/suspicious/noExplicitAny: as it is served.
    const block = async (url: string): Promise<any> => (await fetch(`${url}/block?height=1`)).json()
    assert.equal((await block(node![0])).result.block_id, (await block(witness![0])).result.block_id)
    const taken = await run('dev', '--port', '0', '--witness', node![1]!)
    assert.is(taken.exit, EXIT.unavailable)
    assert.match(taken.err, /^http\.port-busy/)
    assert.is((await run('dev', '--port', '0', '--witness', 'x')).exit, EXIT.usage)
    dev.interrupt()
    assert.is(await dev.exit, EXIT.ok)
  },
  DEADLINE_MS,
)

test.run()
