/**
 * `tieline-ledger enrol`: has the operator of a ledger that runs open accounts, enrol meters and grant roles. What is there
 * already is left as it is, so the same command may be given again. The node's word is believed: nothing is paid on it.
 */

import { createSigner, type MemorySigner } from '../../drivers/crypto/signer.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import type { LedgerRpc, Timers } from '../../drivers/ports.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { roleId } from '../../protocol/ledger/rules/roles.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import type { Table } from '../../protocol/ledger/table.ts'
import { ACCOUNTS, METERS, ROLES, RULES } from '../../protocol/ledger/tables.ts'
import { buildTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { EXIT, type ExitCode } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { exactDecimal } from '../config/literals.ts'
import { devSigner } from './dev-keys.ts'
import { type EnrolmentOptions, type Enrolments, namesAny, readEnrolments } from './enrolments.ts'

interface EnrolWorld {
  readonly terminal: Terminal
  readonly timers: Timers
}

export interface EnrolOptions extends EnrolmentOptions {
  readonly coins: string
  readonly seed: string
  readonly operator?: string
  readonly json?: true
}

/** A minute of one-second blocks. */
const EXPIRY_BLOCKS = 60n
const POLL_MS = 200
/** Records of accounts, meters, roles and rules are small. */
const MAX_RECORD_BYTES = 4_096
const MICROS = 1_000_000n

interface Desk {
  readonly node: LedgerRpc
  readonly operator: MemorySigner
  readonly chainId: string
  readonly fee: Money
  readonly timers: Timers
}

/** What was done, and what was there already. */
interface Done {
  readonly what: string
  readonly made: boolean
}

export async function runEnrol(
  url: string,
  options: EnrolOptions,
  { terminal, timers }: EnrolWorld,
): Promise<ExitCode> {
  const tell = (fault: Fault): ExitCode => {
    if (options.json) terminal.out(`${JSON.stringify({ ok: false, fault }, plain)}\n`)
    else terminal.err(`${fault.code === 'enrol.option' ? fault.hint : faultLine(fault)}\n`)
    return exitOfEnrol(fault)
  }
  if (!URL.canParse(url)) return tell({ code: 'enrol.option', hint: `${url}: give it as http://127.0.0.1:26657` })
  const named = readEnrolments(options)
  if (!named.ok) return tell(named.fault)
  if (!namesAny(options))
    return tell({ code: 'enrol.option', hint: 'nothing is named: `tieline key show --enrol` of a site prints what' })
  const coins = exactDecimal(options.coins, MICROS)
  if (coins === undefined || coins === 0n)
    return tell({ code: 'enrol.option', hint: `--coins ${options.coins}: coins, as in 1000 or 0.5` })
  const operator =
    options.operator === undefined ? ok(devSigner(options.seed, 'operator')) : await readKey(options.operator)
  if (!operator.ok) return tell(operator.fault)
  const desk = await openDesk(url, operator.value, timers)
  if (!desk.ok) return tell(desk.fault)
  const done: Done[] = []
  for (const step of stepsOf(named.value, micros(coins))) {
    const made = await step(desk.value)
    if (!made.ok) return tell(made.fault)
    done.push(made.value)
    if (!options.json) terminal.out(`${made.value.what}${made.value.made ? '' : ': is there already'}\n`)
  }
  if (options.json) terminal.out(`${JSON.stringify({ ok: true, chain_id: desk.value.chainId, done })}\n`)
  return EXIT.ok
}

const plain = (_: string, item: unknown): unknown => (typeof item === 'bigint' ? String(item) : item)

const exitOfEnrol = ({ code }: Fault): ExitCode =>
  code === 'enrol.option'
    ? EXIT.usage
    : code === 'enrol.refused' || code === 'enrol.otherwise'
      ? EXIT.no
      : code === 'enrol.not-the-operator' || code === 'enrol.key-file'
        ? EXIT.configuration
        : code.startsWith('file.')
          ? EXIT.io
          : EXIT.unavailable

/** The key of `operator_key.json`, as `tieline-ledger init network` writes it: nothing of it is ever shown. */
async function readKey(file: string): Promise<Result<MemorySigner>> {
  const text = await readTextFile(file)
  if (!text.ok) return text
  const seed = seedIn(text.value)
  return seed === undefined
    ? fail({ code: 'enrol.key-file', file, hint: 'must be operator_key.json of `tieline-ledger init`' })
    : ok(createSigner(seed))
}

function seedIn(text: string): Uint8Array | undefined {
  try {
    const value: unknown = JSON.parse(text)?.priv_key?.value
    const bytes = typeof value === 'string' ? fromBase64(value) : undefined
    return bytes?.length === 64 ? bytes.subarray(0, 32) : undefined
  } catch {
    // JSON.parse says by throwing that it is none; its message would quote the file.
    return undefined
  }
}

async function openDesk(url: string, operator: MemorySigner, timers: Timers): Promise<Result<Desk>> {
  const node = createRpcClient({ url })
  const status = await node.status()
  if (!status.ok) return status
  const rules = await look(node, RULES, '')
  if (!rules.ok) return rules
  if (rules.value === undefined) return fail({ code: 'enrol.no-rules', node: url, hint: 'ask again after two blocks' })
  const { fee, operator: holder } = rules.value
  if (!equalBytes(holder, addressOf(operator.publicKey)))
    return fail({
      code: 'enrol.not-the-operator',
      chain: status.value.chainId,
      expected: toHex(holder),
      found: toHex(addressOf(operator.publicKey)),
      hint: "name the operator's key with --operator operator_key.json, or the --seed of `tieline-ledger dev`",
    })
  return ok({ node, operator, chainId: status.value.chainId, fee, timers })
}

/** A record as it stands now; undefined where there is none. */
async function look<T>(node: LedgerRpc, table: Table<T>, id: string): Promise<Result<T | undefined>> {
  const status = await node.status()
  if (!status.ok) return status
  const found = await node.query(utf8(`${table.prefix}${id}`), status.value.height)
  if (!found.ok) return found
  return found.value.value === undefined
    ? ok(undefined)
    : decodeAs(table.codec, found.value.value, table.prefix, MAX_RECORD_BYTES)
}

type Step = (desk: Desk) => Promise<Result<Done>>

/** Accounts first: meters and roles are theirs. */
const stepsOf = ({ accounts, meters, roles }: Enrolments, coins: Money): readonly Step[] => [
  ...accounts.map(
    (publicKey): Step =>
      async desk => {
        const what = `account ${toHex(addressOf(publicKey))}`
        const there = await look(desk.node, ACCOUNTS, accountId(addressOf(publicKey)))
        if (!there.ok || there.value !== undefined) return there.ok ? ok({ what, made: false }) : there
        return send(desk, what, { kind: 'open', body: { publicKey, amount: coins } })
      },
  ),
  ...meters.map(
    (meter): Step =>
      async desk => {
        const { meterId, owner, line, publicKey } = meter
        const what = `meter ${meterId} at ${line}`
        const there = await look(desk.node, METERS, meterId)
        if (!there.ok) return there
        if (there.value !== undefined && there.value.revoked === undefined) {
          const { value } = there
          const same = value.line === line && equalBytes(value.owner, owner) && equalBytes(value.publicKey, publicKey)
          if (same) return ok({ what, made: false })
          const hint = 'the ledger has this serial with another line, account or key: it has to be revoked first'
          return fail({ code: 'enrol.otherwise', meterId, line: value.line, owner: toHex(value.owner), hint })
        }
        return send(desk, what, { kind: 'enrol', body: meter })
      },
  ),
  ...roles.map(
    ({ role, holder }): Step =>
      async desk => {
        const what = `role ${role} of ${toHex(holder)}`
        const there = await look(desk.node, ROLES, roleId(role, holder))
        if (!there.ok || there.value !== undefined) return there.ok ? ok({ what, made: false }) : there
        return send(desk, what, { kind: 'role', body: { role, holder, held: true } })
      },
  ),
]

/** Handed in, and waited for until a block has it. */
async function send(
  { node, operator, chainId, fee, timers }: Desk,
  what: string,
  content: TxContent,
): Promise<Result<Done>> {
  const sender = addressOf(operator.publicKey)
  const [account, status] = [await look(node, ACCOUNTS, accountId(sender)), await node.status()]
  if (!account.ok) return account
  if (!status.ok) return status
  const sequence = account.value?.sequence ?? 0n
  const expiry = status.value.height + EXPIRY_BLOCKS
  const tx = buildTx({ ...content, chainId, sender, sequence, fee, expiry }, operator.publicKey)
  const handed = await node.submit(tx.withSignature(operator.signNow(tx.toSign)))
  if (!handed.ok) return handed
  const refused = (refusal: number, log: string) => fail({ code: 'enrol.refused', what, refusal, log })
  if (handed.value.code !== 0) return refused(handed.value.code, handed.value.log)
  for (;;) {
    const found = await node.tx(handed.value.hash)
    if (found.ok) {
      const { code } = found.value.result
      return code === 0 ? ok({ what, made: true }) : refused(code, 'in its block')
    }
    if (found.fault.code !== 'rpc.no-tx') return found
    const now = await node.status()
    if (!now.ok) return now
    if (now.value.height > expiry) return fail({ code: 'enrol.in-no-block', what, hint: 'give the same command again' })
    await timers.sleep(POLL_MS)
  }
}
