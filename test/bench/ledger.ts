/** `npm run bench:ledger`: what the ledger's application reaches, each figure beside its floor measured in the same run. */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedgerStore } from '../../agent/validator/ledger-store.ts'
import { onEveryCore } from '../../agent/validator/on-every-core.ts'
import { verifyOnce } from '../../agent/validator/verify-once.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { type CachingVerifier, createVerifier } from '../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../drivers/crypto/verify-pool.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { encode } from '../../protocol/cbor.ts'
import { createApp, type LedgerApp, type TxOutcome } from '../../protocol/ledger/app.ts'
import { must } from '../../protocol/result.ts'
import { operator } from '../protocol/ledger/parties.ts'
import { accountEntry, CHANGES } from './accounts.ts'
import { type Contestant, figureOf, race, type Timed } from './measure.ts'
import { compilePlain } from './plain.ts'
import { type BenchOptions, type Floor, floorOf, type Row, rateRow, runBench } from './report.ts'
import type { GrowthResult, GrowthTask } from './state-growth.ts'
import { type Block, inputOf, ledgerAfter, makeTraffic, SLOTS_A_DAY, type Traffic } from './traffic.ts'

function checkTaken(results: readonly TxOutcome[]): void {
  const refused = results.find(result => result.code !== 0)
  if (refused !== undefined) throw new Error(refused.log)
}

/** A ledger's next blocks on one thread, every signature verified in its block. */
function onOneThread(app: LedgerApp, blocks: readonly Block[], verifier: CachingVerifier): number {
  for (const block of blocks) {
    checkTaken(app.finalizeBlock({ ...inputOf(app, block), verifier }).results)
    app.commit()
  }
  return blocks.reduce((sum, { txs }) => sum + txs.length, 0)
}

/** The same with the signatures on all cores. */
async function onAllCores(app: LedgerApp, blocks: readonly Block[], verifier: CachingVerifier): Promise<number> {
  const pool = createVerifyPool(verifier)
  // Remembers nothing from before: no signature was checked on arrival.
  const once = verifyOnce(verifier)
  for (const block of blocks) {
    const input = inputOf(app, block)
    const output = await onEveryCore(pool, once, each => app.finalizeBlock({ ...input, verifier: each }))
    checkTaken(output.results)
    app.commit()
  }
  return blocks.reduce((sum, { txs }) => sum + txs.length, 0)
}

/** What is executed, on a ledger after what, and how many signatures one of it takes. */
interface Load {
  readonly id: string
  readonly what: string
  readonly after: readonly Block[]
  readonly blocks: readonly Block[]
  readonly signatures: number
  readonly asked?: readonly [oneThread: string, allCores: string]
  /** Of what is counted, for one transaction. */
  readonly perTx?: number
  readonly unit?: string
}

/** A commit carries three signatures: the buyer's of the transaction and both of the contract. A receipt has four. */
const loadsOf = ({ transfers, commits, receipts }: Traffic): readonly Load[] => [
  { id: 'transfer', what: 'transfers', after: [], blocks: transfers, signatures: 1, asked: ['4,000', '10,000'] },
  { id: 'commit', what: 'commits', after: [], blocks: commits, signatures: 3 },
  { id: 'receipt', what: 'receipts, settled', after: commits, blocks: receipts, signatures: 4 },
  {
    id: 'day',
    what: `trades of a slot, ${SLOTS_A_DAY} to a deal`,
    after: [],
    blocks: [...commits, ...receipts],
    // A deal is a commit and two receipts.
    signatures: 11 / SLOTS_A_DAY,
    perTx: SLOTS_A_DAY / 3,
    unit: 'trades/s',
    asked: ['', '20,000'],
  },
]

/** OpenSSL alone on the questions that one block of transfers asks. */
function rawSignatures(traffic: Traffic, verifier: CachingVerifier): readonly Contestant[] {
  const asked: Parameters<CachingVerifier['verify']>[] = []
  const app = createApp(traffic.genesis)
  const listening = { verify: (...question: Parameters<CachingVerifier['verify']>) => asked.push(question) > 0 }
  app.finalizeBlock({ ...inputOf(app, traffic.transfers[0]!), verifier: listening })
  return [
    {
      name: 'OpenSSL',
      run() {
        for (const question of asked) if (!verifier.verify(...question)) throw new Error('a good one was refused')
        return asked.length
      },
    },
    {
      name: 'OpenSSL, all cores',
      clock: 'wall',
      run: () =>
        new Promise(resolve => {
          let left = asked.length
          for (const question of asked) {
            verifier.verifyAside(...question, valid => {
              if (!valid) throw new Error('a good one was refused')
              if (--left === 0) resolve(asked.length)
            })
          }
        }),
    },
  ]
}

async function executionRows({ effort, quick }: BenchOptions): Promise<readonly Row[]> {
  const traffic = makeTraffic(quick ? 25 : 250)
  const loads = loadsOf(traffic)
  const verifier = createVerifier()
  const contestants = loads.flatMap(({ id, after, blocks, perTx = 1 }): readonly Contestant[] => {
    let app: LedgerApp
    const prepare = () => {
      app = ledgerAfter(traffic, after)
    }
    return [
      { name: id, prepare, run: () => onOneThread(app, blocks, verifier) * perTx },
      {
        name: `${id}, all cores`,
        clock: 'wall',
        prepare,
        run: async () => (await onAllCores(app, blocks, verifier)) * perTx,
      },
    ]
  })
  const timed = await race([...rawSignatures(traffic, verifier), ...contestants], effort)
  const cores = availableParallelism()
  const row = (load: Load, all: boolean): Row => {
    const { id, what, signatures, unit = 'tx/s', asked } = load
    const reached = timed.get(all ? `${id}, all cores` : id)!
    const raw = timed.get(all ? 'OpenSSL, all cores' : 'OpenSSL')!
    const goal = asked?.[all ? 1 : 0]
    return rateRow(
      {
        id: `${id}.${all ? 'cores' : 'thread'}`,
        what: `${what}, ${all ? `${cores} cores` : 'one thread'}`,
        unit,
        ...(goal === undefined || goal === '' ? {} : { asked: goal }),
        floor: floorOf('Ed25519 by node:crypto', 'verifications/s', raw, Number(signatures.toPrecision(2)), reached),
        ...(all ? { note: 'by the wall' } : {}),
      },
      reached,
    )
  }
  return [...loads.map(load => row(load, false)), ...loads.map(load => row(load, true))]
}

async function growthRows({ quick }: BenchOptions): Promise<readonly Row[]> {
  const plain = compilePlain(['state-growth'])
  const rows: Row[] = []
  try {
    for (const keys of quick ? [1000, 10_000] : [10_000, 100_000, 1_000_000]) {
      const task: GrowthTask = {
        keys,
        operator: { publicKey: [...operator.publicKey], address: [...operator.address] },
      }
      const grown = await plain.run<GrowthResult>('state-growth', task, { flags: ['--expose-gc'] })
      const at = `at ${keys.toLocaleString('en')} keys`
      const largest = keys === 1_000_000
      const millis = (seconds: readonly number[]) => {
        const { median, lowest, highest } = figureOf(seconds)
        return { value: 1000 * median, lowest: 1000 * lowest, highest: 1000 * highest, unit: 'ms' }
      }
      const idle: Floor = { what: 'the same process before', value: grown.idleBytes / 1e6, unit: 'MB' }
      rows.push(
        {
          id: `growth.${keys}.rss`,
          what: `ledger node's memory ${at}`,
          value: grown.appBytes / 1e6,
          unit: 'MB',
          ...(largest ? { asked: '400' } : {}),
          floor: idle,
        },
        {
          id: `growth.${keys}.leaf`,
          what: `tree, a leaf ${at}`,
          value: (grown.nodeBytes + grown.recordBytes) / grown.leaves,
          unit: 'bytes',
          note: `hashes and references ${Math.round(grown.nodeBytes / grown.leaves)}, keys and values ${Math.round(grown.recordBytes / grown.leaves)}`,
        },
        { id: `growth.${keys}.commit`, what: `tree, ${CHANGES} changes ${at}`, ...millis(grown.commits) },
        {
          id: `growth.${keys}.prove`,
          what: `tree, a proof ${at}`,
          ...millis(grown.proofs),
          note: `${grown.compactBytes} bytes compact, ${grown.ics23Bytes} as ICS-23`,
        },
      )
    }
  } finally {
    plain.remove()
  }
  return rows
}

/** A block's changes made durable, beside the same bytes appended to a file and synced. */
async function storeRows({ effort }: BenchOptions): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tieline-bench-'))
  const store = must(await openLedgerStore({ disk: must(await openDisk(folder)), clock: createSystemTime().clock }))
  let raw: FileHandle | undefined
  try {
    const hash = new Uint8Array(32)
    const changes = Array.from({ length: CHANGES }, (_, i) => accountEntry(i))
    const bytes = encode(changes)
    must(await store.replaceWith({ height: 0n, appHash: hash, state: { entries: changes, headerHashes: [] } }))
    raw = await open(join(folder, 'raw'), 'w')
    let height = 0n
    const timed = await race(
      [
        {
          name: 'raw',
          clock: 'wall',
          async run() {
            await raw!.appendFile(bytes)
            await raw!.datasync()
            return 1
          },
        },
        {
          name: 'store',
          clock: 'wall',
          async run() {
            height++
            must(await store.commit({ height, hash, appHash: hash, changes }))
            return 1
          },
        },
      ],
      effort,
    )
    const millis = ({ median }: Timed) => 1000 / median
    const { median: _, lowest, highest, ...reached } = timed.get('store')!
    return [
      {
        id: 'store.commit',
        what: `store, ${CHANGES} changes made durable`,
        ...reached,
        value: millis(timed.get('store')!),
        lowest: 1000 / highest,
        highest: 1000 / lowest,
        unit: 'ms',
        floor: { what: 'the same bytes appended, fdatasync', value: millis(timed.get('raw')!), unit: 'ms' },
        note: `${bytes.length.toLocaleString('en')} bytes, by the wall`,
      },
    ]
  } finally {
    await raw?.close()
    await store.close()
    await rm(folder, { recursive: true })
  }
}

await runBench(
  'bench:ledger',
  'What the ledger reaches: transactions and trades a second on one thread and on all cores, and how its state grows.',
  async bench => [...(await executionRows(bench)), ...(await growthRows(bench)), ...(await storeRows(bench))],
)
