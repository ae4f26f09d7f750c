/** The two ledgers of a district: energy and distribution, each following the other from its first block on. */
import { createProducer, type Producer } from '../../agent/validator/producer.ts'
import { keysFromSeed } from '../../agent/world.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import type { Role } from '../../protocol/ledger/rules/roles.ts'
import { buildTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { micros } from '../../protocol/quantity.ts'
import { benchSeed } from '../sim/street.ts'
import { type StreetPorts, trustIn } from '../sim/street-run.ts'
import { type District, streetOfDistrict } from './district.ts'

const ENERGY_CHAIN = 'tieline-energy'
const GRID_CHAIN = 'tieline-grid'
const VALIDATORS = 4
const FEE = micros(100n)
/** A thousand coins: more than a day of any scenario costs. */
export const ENDOWMENT = micros(1_000_000_000n)
/** How each ledger believes the other; a claim has ten minutes to come over. */
const BELIEF = { trustingPeriodMs: 14 * 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: 600_000 }

/** What the ledger lets a site do that has this role in its configuration. */
const LEDGER_ROLES: Readonly<Record<string, readonly Role[]>> = {
  distributor: ['distributor', 'aggregator'],
  storage: ['storage', 'issuer'],
  aggregator: ['aggregator'],
  community: ['community'],
  regulator: ['regulator'],
}

export interface DistrictLedgers {
  readonly energy: Producer
  /** Absent where the district has no feeders. */
  readonly distribution: Producer | undefined
}

type Ports = Pick<StreetPorts, 'clock' | 'timers' | 'verifier' | 'signer'>

/** Both ledgers with their first blocks, not yet started. */
export async function openLedgers(
  district: District,
  seed: number,
  ports: Ports,
  intervalMs: number,
): Promise<DistrictLedgers> {
  const street = streetOfDistrict(district)
  const keysOf = (site: string) => keysFromSeed(benchSeed(seed, site), ports.signer)
  const addressOfSite = (site: string) => addressOf(keysOf(site).account.publicKey)
  const operator = ports.signer(benchSeed(seed, 'operator'))
  const base = {
    time: ports.clock.now(),
    fee: FEE,
    feeAccount: addressOf(operator.publicKey),
    operator: addressOf(operator.publicKey),
    accounts: [
      { publicKey: operator.publicKey, balance: micros(1_000_000n) },
      ...street.sites.map(({ name }) => ({ publicKey: keysOf(name).account.publicKey, balance: ENDOWMENT })),
    ],
    roles: district.sites.flatMap(({ name, role, sections = {} }) => {
      const granted: readonly Role[] = [...(LEDGER_ROLES[role] ?? []), ...('mint' in sections ? ['mint' as const] : [])]
      return granted.map(role => ({ role, holder: addressOfSite(name) }))
    }),
  }
  const factsOf = (site: string) => district.sites.find(({ name }) => name === site)?.enrolled
  const lineMeters = street.lines.flatMap(line =>
    (['seller', 'buyer'] as const).map(side => ({
      meterId: side === 'seller' ? line.sellerMeterId : line.buyerMeterId,
      owner: addressOfSite(line[side]),
      line: line.id,
      publicKey: keysOf(line[side]).metering.publicKey,
      ...factsOf(line[side]),
    })),
  )
  const gridMeters = street.sites.map(({ name, gridMeterId, over }) => ({
    meterId: gridMeterId,
    owner: addressOfSite(name),
    line: over!.node,
    publicKey: keysOf(name).metering.publicKey,
    ...factsOf(name),
    ...(over!.source === undefined ? {} : { source: over!.source }),
  }))
  const networked = district.feeders.length > 0
  const genesisOf = (chainId: string, other: string): Genesis => ({
    ...base,
    chainId,
    meters: chainId === ENERGY_CHAIN ? [...lineMeters, ...gridMeters] : [],
    ...(networked ? { peers: [{ chainId: other, ...BELIEF }] } : {}),
    ...(networked && chainId === ENERGY_CHAIN ? { reserveOn: GRID_CHAIN, sellerProves: true } : {}),
  })
  const produce = (genesis: Genesis) =>
    createProducer({
      genesis,
      signers: Array.from({ length: VALIDATORS }, (_, index) =>
        ports.signer(benchSeed(seed, `${genesis.chainId} validator ${index}`)),
      ),
      ...ports,
      intervalMs,
    })
  const energy = produce(genesisOf(ENERGY_CHAIN, GRID_CHAIN))
  const distribution = networked ? produce(genesisOf(GRID_CHAIN, ENERGY_CHAIN)) : undefined
  await energy.produce()
  await distribution?.produce()
  if (distribution !== undefined) {
    for (const [here, there] of [
      [energy, distribution],
      [distribution, energy],
    ] as const) {
      const body = { chainId: there.genesis.chainId, anchor: trustIn(there) }
      await bySigner(here, operator, { kind: 'anchor', body }, 0n)
      await here.produce()
    }
  }
  return { energy, distribution }
}

/** One transaction of somebody who has sent `sequence` before. */
async function bySigner(
  producer: Producer,
  signer: ReturnType<Ports['signer']>,
  content: TxContent,
  sequence: bigint,
): Promise<void> {
  const sender = addressOf(signer.publicKey)
  const tx = buildTx(
    { ...content, chainId: producer.genesis.chainId, sender, sequence, fee: FEE, expiry: 1_000n },
    signer.publicKey,
  )
  const submitted = producer.submit(tx.withSignature(signer.signNow(tx.toSign)))
  if (submitted.kind !== 'checked' || submitted.outcome.code !== 0) {
    throw new Error(`the district's own ${content.kind} is refused: ${JSON.stringify(submitted.kind)}`)
  }
}
