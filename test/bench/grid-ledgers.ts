/** The two ledgers of a bench that trades over the grid, each following the other, and one light client of each. */
import { createLightAgent } from '../../agent/light/run.ts'
import { createProducer, type Producer } from '../../agent/validator/producer.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import type { Clock, LedgerRpc, Signer, Timers } from '../../drivers/ports.ts'
import { openHeaderStore } from '../../drivers/store/headers.ts'
import { createSimDisk } from '../../hw/sim/disk.ts'
import { createSimRpc } from '../../hw/sim/ledger-rpc.ts'
import { trustIn } from '../../hw/sim/street-run.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { buildTx, parseTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { micros } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'

export const ENERGY = 'bench-energy'
export const GRID = 'bench-grid'
const VALIDATORS = 4
const FEE = micros(100n)
const BELIEF = { trustingPeriodMs: 14 * 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: 600_000 }

/** A key of its own for every name. */
export const signerOf = (name: string) => createSigner(sha256(utf8(`bench ${name}`)))

export interface BenchTime {
  readonly clock: Clock
  readonly timers: Timers
  /** Awaits what needs the time to go on. */
  awaited<T>(work: Promise<T>): Promise<T>
}

/** Transactions that stand in blocks, by kind, and their bytes. */
export interface LedgerCount {
  readonly txs: Map<string, number>
  /** Kinds that stand in a block and did nothing. */
  readonly refused: Map<string, number>
  bytes: number
}

export interface BenchLedger {
  readonly producer: Producer
  readonly count: LedgerCount
  readonly nodes: readonly LedgerRpc[]
  readonly light: ReturnType<typeof createLightAgent>
}

export interface BenchLedgers {
  readonly energy: BenchLedger
  readonly distribution: BenchLedger
  stop(): Promise<void>
}

type People = Pick<Genesis, 'meters'> & {
  readonly accounts: readonly Uint8Array[]
  readonly distributors: readonly Uint8Array[]
}

const add = (to: Map<string, number>, kind: string) => void to.set(kind, (to.get(kind) ?? 0) + 1)

async function openLedger(producer: Producer, { clock, timers, awaited }: BenchTime): Promise<BenchLedger> {
  const count: LedgerCount = { txs: new Map(), refused: new Map(), bytes: 0 }
  producer.subscribe(({ txs, results }) => {
    for (const [at, tx] of txs.entries()) {
      const { kind } = must(parseTx(tx)).tx
      add(results[at]!.code === 0 ? count.txs : count.refused, kind)
      count.bytes += tx.length
    }
  })
  const { chainId } = producer.genesis
  const nodes = [0, 1].map(n => createSimRpc({ name: `${chainId} ${n}`, producer, timers, latencyMs: 1 }))
  const disk = () => createSimDisk({ random: () => 0 }).mount()
  const [primary, witness] = nodes as [LedgerRpc, LedgerRpc]
  const light = createLightAgent({
    config: {
      chainId,
      trust: trustIn(producer),
      trustingPeriodMs: BELIEF.trustingPeriodMs,
      maxClockDriftMs: BELIEF.maxClockDriftMs,
      trustLevel: { numerator: 1, denominator: 3 },
    },
    ...{ primary, witnesses: [witness], clock, timers, disk: disk() },
    headers: must(await awaited(openHeaderStore({ disk: disk(), clock, chainId }))),
    verifier: createVerifier(),
    log: () => {},
  })
  must(await awaited(light.start()))
  return { producer, count, nodes, light }
}

/** Both with their first blocks, and going on by themselves. */
export async function openLedgers(people: People, blockMs: number, time: BenchTime): Promise<BenchLedgers> {
  const { clock, timers, awaited } = time
  const operator = signerOf('operator')
  const address = addressOf(operator.publicKey)
  const genesisOf = (chainId: string, other: string): Genesis => ({
    ...{ chainId, time: clock.now(), fee: FEE, feeAccount: address, operator: address },
    accounts: [operator.publicKey, ...people.accounts].map(publicKey => ({
      publicKey,
      balance: micros(1_000_000_000n),
    })),
    roles: people.distributors.map(key => ({ role: 'distributor', holder: addressOf(key) })),
    meters: chainId === ENERGY ? people.meters : [],
    peers: [{ chainId: other, ...BELIEF }],
    ...(chainId === ENERGY ? { reserveOn: GRID } : {}),
  })
  const produce = (genesis: Genesis) =>
    createProducer({
      genesis,
      signers: Array.from({ length: VALIDATORS }, (_, n) => signerOf(`${genesis.chainId} validator ${n}`)),
      ...{ clock, timers, verifier: createVerifier(), intervalMs: blockMs },
    })
  const pair = [produce(genesisOf(ENERGY, GRID)), produce(genesisOf(GRID, ENERGY))] as const
  for (const ledger of pair) must(await awaited(ledger.produce()))
  for (const [here, there] of [pair, [pair[1], pair[0]]] as const) {
    send(here, operator, { kind: 'anchor', body: { chainId: there.genesis.chainId, anchor: trustIn(there) } })
    must(await awaited(here.produce()))
  }
  const energy = await openLedger(pair[0], time)
  const distribution = await openLedger(pair[1], time)
  for (const ledger of pair) ledger.start()
  return {
    energy,
    distribution,
    async stop() {
      await awaited(Promise.all([energy, distribution].map(({ light }) => light.stop())))
      await Promise.all(pair.map(ledger => ledger.stop()))
    },
  }
}

function send(producer: Producer, signer: Signer & { signNow(message: Uint8Array): Uint8Array }, content: TxContent) {
  const { chainId } = producer.genesis
  const sender = addressOf(signer.publicKey)
  const tx = buildTx({ ...content, chainId, sender, sequence: 0n, fee: FEE, expiry: 1_000n }, signer.publicKey)
  const submitted = producer.submit(tx.withSignature(signer.signNow(tx.toSign)))
  if (submitted.kind !== 'checked' || submitted.outcome.code !== 0)
    throw new Error(`the bench's own ${content.kind} is refused`)
}
