/** How a ledger begins: who is on it, with what, and by which rules. The same genesis gives the same first AppHash. */
import { toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import { admissionFault } from '../identity/key.ts'
import { type Money, micros } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { MAX_MONEY, meterId as meterIdCodec, name } from './fields.ts'
import { accountId, type Draft } from './state.ts'
import { ACCOUNTS, CHAIN, type EnrolledMeter, METERS, RULES } from './tables.ts'

interface GenesisAccount {
  /** Ed25519, 32 bytes, or a compressed P-256 point, 33 bytes. */
  readonly publicKey: Uint8Array
  readonly balance: Money
}

/** A meter as it will be enrolled. */
interface GenesisMeter extends Omit<EnrolledMeter, 'revoked'> {
  readonly meterId: string
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
}

export type GenesisFault =
  | { readonly code: 'genesis.chain-id'; readonly chainId: string }
  | { readonly code: 'genesis.account'; readonly address: string; readonly reason: string }
  | { readonly code: 'genesis.meter'; readonly meterId: string; readonly reason: string }
  | { readonly code: 'genesis.money'; readonly minted: bigint; readonly limit: bigint }
  | { readonly code: 'genesis.role'; readonly role: 'operator' | 'fee account'; readonly address: string }

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
  const minted = mintedIn(genesis)
  if (genesis.accounts.some(({ balance }) => balance < 0n) || minted > MAX_MONEY) {
    return fail({ code: 'genesis.money', minted, limit: MAX_MONEY })
  }
  return ok(genesis)
}

const mintedIn = (genesis: Genesis): bigint => genesis.accounts.reduce((sum, { balance }) => sum + balance, 0n)

/** Writes the first state of a checked genesis. */
export function writeGenesis(draft: Draft, genesis: Genesis): void {
  for (const { publicKey, balance } of genesis.accounts) {
    draft.put(ACCOUNTS, accountId(addressOf(publicKey)), { publicKey, balance, sequence: 0n })
  }
  for (const { meterId, ...meter } of genesis.meters) draft.put(METERS, meterId, meter)
  const { chainId, time, fee, feeAccount, operator } = genesis
  draft.put(RULES, '', { fee, feeAccount, operator })
  draft.put(CHAIN, '', { chainId, height: 0n, time, minted: micros(mintedIn(genesis)) })
}
