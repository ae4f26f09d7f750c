/** How a ledger begins: who is on it, with what, and by which rules. The same genesis gives the same first AppHash. */
import { fromHex, toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import { keyFault } from '../crypto/verify.ts'
import { admissionFault } from '../identity/key.ts'
import { type Money, micros } from '../quantity.ts'
import { fail, faultLine, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { MAX_MONEY, meterId as meterIdCodec, name } from './fields.ts'
import { type GenesisPeer, type PeerFault, peersFault, writePeers } from './rules/peers.ts'
import { grantRole, type Role } from './rules/roles.ts'
import { accountId, type Draft } from './state.ts'
import {
  ACCOUNTS,
  CHAIN,
  type EnrolledMeter,
  METERS,
  RULES,
  type StakingRules,
  staking as stakingCodec,
  VALIDATORS,
} from './tables.ts'

interface GenesisAccount {
  /** Ed25519, 32 bytes, or a compressed P-256 point, 33 bytes. */
  readonly publicKey: Uint8Array
  readonly balance: Money
}

/** A meter as it will be enrolled. */
interface GenesisMeter extends Omit<EnrolledMeter, 'revoked'> {
  readonly meterId: string
}

interface GenesisValidator {
  /** Ed25519. */
  readonly publicKey: Uint8Array
  /** Address of the account that the stake is; one of `accounts`. */
  readonly owner: Uint8Array
  /** Beside the balances of `accounts`. */
  readonly stake: Money
}

interface GenesisRole {
  readonly role: Role
  /** One of `accounts`. */
  readonly holder: Uint8Array
}

export interface Genesis {
  readonly chainId: string
  readonly time: Instant
  /** The least fee of a transaction. */
  readonly fee: Money
  /** Address of the account that fees go to; one of `accounts`. */
  readonly feeAccount: Uint8Array
  /** Address of the account that enrols meters; one of `accounts`. */
  readonly operator: Uint8Array
  readonly accounts: readonly GenesisAccount[]
  readonly meters: readonly GenesisMeter[]
  /** Who validates. Without them the ledger leaves that to CometBFT's own genesis, and nobody can stake. */
  readonly validators?: readonly GenesisValidator[]
  /** By which rules they do; DEFAULT_STAKING where absent. */
  readonly staking?: StakingRules
  readonly roles?: readonly GenesisRole[]
  /** Other ledgers that this one follows. */
  readonly peers?: readonly GenesisPeer[]
  /** The one of them that has to hold capacity for every deal; absent where none has to. */
  readonly reserveOn?: string
  /**
   * Over the grid nothing is paid to a seller whose own meter gave no receipt (rules/settle.ts). Absent on ledgers that began
   * without this rule: there the buyer's receipt counts alone.
   */
  readonly sellerProves?: true
}

export const DEFAULT_STAKING: StakingRules = {
  /** One coin. */
  unit: micros(1_000_000n),
  /** Half as long again as the fourteen days for which our light clients trust a header. */
  unbondingMs: 21 * 86_400_000,
  /** What Cosmos chains take for a double vote. */
  slashPermille: 50,
  /** More signatures cost every light client more; the ledger is meant for 4 to 21. */
  most: 21,
}

export type GenesisFault =
  | { readonly code: 'genesis.chain-id'; readonly chainId: string }
  | { readonly code: 'genesis.account'; readonly address: string; readonly reason: string }
  | { readonly code: 'genesis.meter'; readonly meterId: string; readonly reason: string }
  | { readonly code: 'genesis.money'; readonly minted: bigint; readonly limit: bigint }
  | { readonly code: 'genesis.role'; readonly role: string; readonly address: string }
  | { readonly code: 'genesis.staking'; readonly reason: string }
  | { readonly code: 'genesis.validator'; readonly address: string; readonly reason: string }
  | PeerFault

/** Whether a ledger can begin like this. */
export function checkGenesis(genesis: Genesis): Result<Genesis, GenesisFault> {
  if (!name.read(genesis.chainId, 'chainId').ok) return fail({ code: 'genesis.chain-id', chainId: genesis.chainId })
  const known = new Set<string>()
  for (const { publicKey } of genesis.accounts) {
    const id = toHex(addressOf(publicKey))
    const bad = (reason: string) => fail({ code: 'genesis.account', address: id, reason } as const)
    const fault = admissionFault(publicKey)
    if (fault !== undefined) return bad(fault.reason)
    if (known.has(id)) return bad('comes twice')
    known.add(id)
  }
  for (const [role, holder] of [
    ['operator', genesis.operator],
    ['fee account', genesis.feeAccount],
    ...(genesis.roles ?? []).map(({ role, holder }) => [role, holder] as const),
  ] as const) {
    if (!known.has(toHex(holder))) return fail({ code: 'genesis.role', role, address: toHex(holder) })
  }
  const meters = new Set<string>()
  for (const { meterId, owner, line, publicKey, feeder } of genesis.meters) {
    const bad = (reason: string) => fail({ code: 'genesis.meter', meterId, reason } as const)
    if (!meterIdCodec.read(meterId, 'meterId').ok) return bad('its name is not 1 to 64 printable characters')
    if (!name.read(line, 'line').ok) return bad(`it stands at no line: ${line}`)
    if (feeder !== undefined && !name.read(feeder, 'feeder').ok) return bad(`it hangs from no feeder: ${feeder}`)
    if (meters.has(meterId)) return bad('comes twice')
    meters.add(meterId)
    if (!known.has(toHex(owner))) return bad('its owner has no account')
    const fault = admissionFault(publicKey)
    if (fault !== undefined) return bad(fault.reason)
  }
  const staked = stakingFault(genesis, known)
  if (staked !== undefined) return fail(staked)
  const peers = peersFault(genesis.chainId, genesis.peers ?? [], genesis.reserveOn)
  if (peers !== undefined) return fail(peers)
  const minted = mintedIn(genesis)
  if (genesis.accounts.some(({ balance }) => balance < 0n) || minted > MAX_MONEY) {
    return fail({ code: 'genesis.money', minted, limit: MAX_MONEY })
  }
  return ok(genesis)
}

function stakingFault(genesis: Genesis, accounts: ReadonlySet<string>): GenesisFault | undefined {
  const { validators = [], staking = DEFAULT_STAKING } = genesis
  const rules = stakingCodec.read(stakingCodec.write(staking), 'staking')
  if (!rules.ok) return { code: 'genesis.staking', reason: faultLine(rules.fault) }
  if (validators.length > staking.most)
    return { code: 'genesis.staking', reason: `more than ${staking.most} validators` }
  const seen = new Set<string>()
  for (const { publicKey, owner, stake } of validators) {
    const address = toHex(addressOf(publicKey))
    const bad = (reason: string): GenesisFault => ({ code: 'genesis.validator', address, reason })
    const fault = keyFault('EdDSA', publicKey)
    if (fault !== undefined) return bad(fault.reason)
    if (seen.has(address)) return bad('comes twice')
    seen.add(address)
    if (!accounts.has(toHex(owner))) return bad('its owner has no account')
    if (stake < staking.unit) return bad(`its stake of ${stake} is less than a unit of power, ${staking.unit}`)
  }
  return undefined
}

/** What stands of a validator in CometBFT's genesis. */
interface NamedValidator {
  readonly publicKey: Uint8Array
  readonly power: bigint
}

/** Why the validators that CometBFT begins with are not those of the ledger's genesis: the two would drift apart from block 1. */
export function genesisValidatorsFault(genesis: Genesis, named: readonly NamedValidator[]): GenesisFault | undefined {
  const { validators = [], staking = DEFAULT_STAKING } = genesis
  if (validators.length === 0) return undefined
  const powers = new Map(named.map(({ publicKey, power }) => [toHex(publicKey), power]))
  for (const { publicKey, stake } of validators) {
    const key = toHex(publicKey)
    const power = stake / staking.unit
    const address = toHex(addressOf(publicKey))
    if (powers.get(key) !== power) {
      return {
        code: 'genesis.validator',
        address,
        reason: `power ${power} here, ${powers.get(key) ?? 'none'} in CometBFT`,
      }
    }
    powers.delete(key)
  }
  const [stranger] = powers.keys()
  return stranger === undefined
    ? undefined
    : { code: 'genesis.validator', address: toHex(addressOf(fromHex(stranger)!)), reason: 'only in CometBFT' }
}

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, amount) => total + amount, 0n)
const mintedIn = ({ accounts, validators = [] }: Genesis): bigint =>
  sum(accounts.map(({ balance }) => balance)) + sum(validators.map(({ stake }) => stake))

/** Writes the first state of a checked genesis. */
export function writeGenesis(draft: Draft, genesis: Genesis): void {
  for (const { publicKey, balance } of genesis.accounts) {
    draft.put(ACCOUNTS, accountId(addressOf(publicKey)), { publicKey, balance, sequence: 0n })
  }
  for (const { meterId, ...meter } of genesis.meters) draft.put(METERS, meterId, meter)
  for (const { role, holder } of genesis.roles ?? []) grantRole(draft, role, holder, 0n)
  writePeers(draft, genesis.peers ?? [])
  const { chainId, time, fee, feeAccount, operator, validators = [], staking = DEFAULT_STAKING } = genesis
  const { reserveOn, sellerProves } = genesis
  const staked = validators.length > 0
  if (staked) {
    const all = validators.map(validator => ({ ...validator, power: validator.stake / staking.unit }))
    draft.put(VALIDATORS, '', { all })
  }
  draft.put(RULES, '', {
    fee,
    feeAccount,
    operator,
    ...(staked ? { staking } : {}),
    ...(reserveOn === undefined ? {} : { reserveOn }),
    ...(sellerProves === undefined ? {} : { sellerProves }),
  })
  draft.put(CHAIN, '', { chainId, height: 0n, time, minted: micros(mintedIn(genesis)) })
}
