/**
 * A history once recorded replays to the same AppHash, on whatever machine and however often it was interrupted.
 *
 * Where the rules change on purpose it is recorded anew, with the reason in its first line:
 *
 *     TIELINE_RECORD='a fee is charged for this and that' npx tsx test/run.ts ledger/history
 *
 * A new history is an entry in MAKERS.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { createApp, resumeApp } from '../../../protocol/ledger/app.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { REFUSAL_CODES } from '../../../protocol/ledger/fault.ts'
import { parseTx, type TxKind } from '../../../protocol/ledger/tx.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { createObjectTree } from '../chain/smt-objects.ts'
import { Everyday, everydayGenesis } from './everyday.ts'
import { type Came, cameOf, type History, headerHash, historyOf, readHistory, writeHistory } from './history.ts'
import { coinStreet } from './mint.ts'
import { seller, signTx, verifier } from './parties.ts'
import { grid, services, twoLedgers } from './scripted.ts'

const test = suite('recorded history')

/** How each history is made when it is recorded anew. */
const MAKERS: Readonly<Record<string, () => History | Promise<History>>> = {
  everyday: () => {
    const street = new Everyday(7)
    for (let i = 0; i < 100; i++) street.run(street.next())
    return historyOf(everydayGenesis, street.executed)
  },
  energy: () => {
    const { energy } = twoLedgers()
    return historyOf(energy.genesis, energy.executed)
  },
  net: () => {
    const { net } = twoLedgers()
    return historyOf(net.genesis, net.executed)
  },
  services: () => {
    const bench = services()
    return historyOf(bench.genesis, bench.executed)
  },
  grid: () => {
    const street = grid()
    return historyOf(street.genesis, street.executed)
  },
  coins: async () => {
    const street = await coinStreet()
    return historyOf(street.genesis, street.executed)
  },
  journals: () => {
    const street = new Everyday(1)
    const heads: readonly [journal: number, frame: bigint][] = [
      [1, 5n],
      [1, 5n],
      [1, 4n],
      [1, 6n],
      [2, 1n],
      [1, 900n],
    ]
    let sequence = 0n
    for (const [journal, frame] of heads) {
      const height = street.app.height + 1n
      const body = { journal: new Uint8Array(16).fill(journal), frame, hash: headerHash(frame) }
      const txs = [signTx(seller, sequence, { kind: 'head', body })]
      street.time += 1000
      const block = { height, time: instant(street.time), hash: headerHash(height), txs, misbehaved: [], verifier }
      if (street.run(block).results[0]!.code === 0) sequence++
    }
    return historyOf(everydayGenesis, street.executed)
  },
}

/** Whether a kind of transaction is in some history, or why in none. */
const RECORDED: Readonly<Record<TxKind, true | string>> = {
  ...{ transfer: true, open: true, rekey: true, mint: true, burn: true },
  ...{ enrol: true, revoke: true, role: true, band: true },
  ...{ stake: true, unstake: true, evidence: true },
  ...{ commit: true, receipt: true, sealed: true, quantity: true },
  ...{ follow: true, anchor: true, capacity: true, tariff: true, reserve: true, claim: true, release: true },
  ...{ propose: true, answer: true, end: true, schedule: true, order: true },
  ...{ event: true, optIn: true, admit: true, optOut: true, report: true },
  ...{ issue: true, redeem: true, found: true, invite: true, join: true, leave: true, gateway: true },
  head: true,
  suspend: true,
  ...{ mintKey: true, withdraw: true, signCoin: true, deposit: true },
  issuerKey: 'a registrar’s key is of the state alone: issuer-keys.test.ts replays it',
}

const reason = process.env['TIELINE_RECORD']
if (reason !== undefined && reason !== '') {
  for (const [name, make] of Object.entries(MAKERS)) writeHistory(name, reason, await make())
}

const histories = Object.keys(MAKERS).map(name => [name, readHistory(name)] as const)

for (const [name, { genesis, blocks }] of histories) {
  test(`${name}: replays to the same AppHash and results`, () => {
    const app = createApp(genesis)
    for (const { input, came } of blocks) {
      assert.equal(cameOf(app.finalizeBlock(input)), came, `block ${input.height}`)
      app.commit()
      assert.is(toHex(app.appHash), came.appHash)
    }
  })

  test(`${name}: replays through a ledger that is saved and resumed at every height`, () => {
    let app = createApp(genesis)
    for (const { input, came } of blocks) {
      assert.equal(cameOf(app.finalizeBlock(input)), came, `block ${input.height}`)
      app.commit()
      const saved = { entries: [...app.entries(app.height)!], headerHashes: [...app.headerHashes(app.height)!] }
      // The order in which a store gives its entries is its own.
      app = must(resumeApp({ ...saved, entries: saved.entries.reverse() }))
      assert.is(toHex(app.appHash), came.appHash)
    }
  })

  test(`${name}: replays when every block is executed twice, with another one between, before it is committed`, () => {
    const app = createApp(genesis)
    for (const { input, came } of blocks) {
      assert.equal(cameOf(app.finalizeBlock(input)), came)
      app.finalizeBlock({ ...input, hash: headerHash(0n), txs: input.txs.slice(1), misbehaved: [] })
      for (const tx of input.txs) app.checkTx(tx, input.verifier)
      assert.equal(cameOf(app.finalizeBlock(input)), came, `block ${input.height}`)
      app.commit()
    }
  })

  test(`${name}: a transaction more or less, another order, another time or header gives another AppHash`, () => {
    const app = createApp(genesis)
    let seen = 0
    for (const { input, came } of blocks) {
      const appHashOf = (change: Partial<typeof input>) => cameOf(app.finalizeBlock({ ...input, ...change })).appHash
      assert.is.not(appHashOf({ hash: headerHash(0n) }), came.appHash)
      assert.is.not(appHashOf({ time: (input.time + 1) as typeof input.time }), came.appHash)
      const first = came.codes.indexOf(0)
      if (first >= 0) {
        assert.is.not(appHashOf({ txs: input.txs.toSpliced(first, 1) }), came.appHash)
        seen++
      }
      app.finalizeBlock(input)
      app.commit()
    }
    assert.ok(seen > 2)
  })

  test(`${name}: the state at its end adds up, and another tree gives it the same root`, () => {
    const app = createApp(genesis)
    for (const { input } of blocks) {
      app.finalizeBlock(input)
      app.commit()
    }
    const entries = [...app.entries(app.height)!]
    assert.equal(auditLedger(entries).problems, [])
    assert.is(toHex(createObjectTree(1).commit(1n, entries)), blocks.at(-1)!.came.appHash)
  })
}

test('the histories hold every kind of transaction, taken at least once, and many a refusal', () => {
  const all = histories.flatMap(([, { blocks }]) => blocks)
  const taken = new Set<string>()
  const codes = new Set<number>()
  for (const { input, came } of all) {
    for (const [i, code] of came.codes.entries()) {
      const parsed = parseTx(input.txs[i]!)
      if (parsed.ok && code === 0) taken.add(parsed.value.tx.kind)
      codes.add(code)
    }
  }
  const expected = Object.entries(RECORDED).filter(([, recorded]) => recorded === true)
  assert.equal([...taken].sort(), expected.map(([kind]) => kind).sort())
  assert.ok(codes.size > 15, `${codes.size} of ${Object.keys(REFUSAL_CODES).length} codes`)
  assert.ok(all.some(({ came }: { came: Came }) => came.updates.length > 0))
})

test.run()
