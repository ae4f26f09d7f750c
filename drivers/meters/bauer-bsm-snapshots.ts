/**
 * Has a BAUER BSM-WS36A sign what it measures now, and reads it. Whatever the line does to the answer, only what the meter signed
 * comes out.
 *
 * Source: chargeITmobility/bsm-python, doc/examples/snapshots.md ("Snapshot Creation", "Public Key").
 */
import { concat } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { fail, type Result } from '../../protocol/result.ts'
import { type BsmSnapshot, bsmPublicKey, verifyBsmSnapshot } from '../../protocol/sunspec/bsm-snapshot.ts'
import type { ModbusMaster } from '../modbus/master.ts'
import type { Clock, Timers } from '../ports.ts'

export interface BsmParts {
  readonly master: ModbusMaster
  readonly unit: number
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  /** 33 bytes, SEC 1 compressed: as `readBsmKey` gave it once, over a line that was trusted then. */
  readonly publicKey: Uint8Array
}

/** Of model 64901's instance "Signed Current Snapshot": its id register, its status, and how many registers it has in all. */
const SNAPSHOT = 40_521
const STATUS = SNAPSHOT + 3
const SNAPSHOT_REGISTERS = 254
/** In model 64900: NPK, BPK and the 48 registers of the key. */
const KEY = 40_449
const KEY_REGISTERS = 50
const MOST_REGISTERS = 125
const UPDATING = 2
/** The maker's own tool waits so long for a signature. */
const SIGNING_MS = 15_000
const POLL_MS = 250

/** The key that the meter says is its own. Pin it: on the wire, anybody can say so. */
export async function readBsmKey(master: ModbusMaster, unit: number): Promise<Result<Uint8Array>> {
  const block = await master.readRegisters(unit, 'holding', KEY, KEY_REGISTERS)
  return block.ok ? bsmPublicKey(block.value.bytes) : block
}

/** Faults: those of the line, `bsm.slow` (no signature in time) and those of `verifyBsmSnapshot`. */
export async function takeBsmSnapshot(parts: BsmParts): Promise<Result<BsmSnapshot>> {
  const { master, unit, clock, timers, verifier, publicKey } = parts
  const asked = await master.writeRegisters(unit, STATUS, [UPDATING])
  if (!asked.ok) return asked
  const began = clock.mono()
  for (let status = UPDATING; status === UPDATING; ) {
    if (clock.mono() - began > SIGNING_MS) return fail({ code: 'bsm.slow', unit, waitedMs: clock.mono() - began })
    await timers.sleep(POLL_MS)
    const block = await master.readRegisters(unit, 'holding', STATUS, 1)
    if (!block.ok) return block
    status = (block.value.bytes[0]! << 8) | block.value.bytes[1]!
  }
  const blocks: Uint8Array[] = []
  for (let at = 0; at < SNAPSHOT_REGISTERS; at += MOST_REGISTERS) {
    const count = Math.min(MOST_REGISTERS, SNAPSHOT_REGISTERS - at)
    const block = await master.readRegisters(unit, 'holding', SNAPSHOT + at, count)
    if (!block.ok) return block
    blocks.push(block.value.bytes)
  }
  return verifyBsmSnapshot(concat(...blocks), publicKey, verifier)
}
