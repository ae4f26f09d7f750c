/** `tieline-ledger dev`: a ledger with all its validators in this process, in memory or in a folder. */
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../drivers/crypto/verify-pool.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { checkGenesis, type Genesis } from '../../protocol/ledger/genesis.ts'
import { micros } from '../../protocol/quantity.ts'
import { type Fault, faultLine, ok } from '../../protocol/result.ts'
import { EXIT, type ExitCode, exitOf } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { devSeed, devSigner } from './dev-keys.ts'
import { type EnrolmentOptions, enrolIn, namesAny, readEnrolments } from './enrolments.ts'
import { parseGenesis } from './genesis-json.ts'
import { openLedgerFolder } from './ledger-folder.ts'
import { createProducer } from './producer.ts'
import { RPC_BODY_LIMIT, rpcRoutes, rpcSockets } from './rpc.ts'

/** What the command uses of the machine, and the moment at which somebody wants it to end. */
interface DevWorld {
  readonly terminal: Terminal
  readonly clock: Clock
  readonly timers: Timers
  readonly interrupted: Promise<void>
}

export interface DevOptions extends EnrolmentOptions {
  readonly port: string
  readonly chain: string
  readonly interval: string
  readonly seed: string
  readonly genesis?: string
  readonly witness?: string
  readonly data?: string
}

/** Faults of one third of the power are outvoted from four validators up. */
const VALIDATORS = 4
const DEV_ACCOUNTS = 5
const DEV_BALANCE = micros(1_000_000_000n)
/** What `enrol` opens accounts from. */
const OPERATOR_BALANCE = micros(1_000_000_000_000n)
const DEV_FEE = micros(100n)

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  return value >= least && value <= most ? value : undefined
}

export async function runDev(options: DevOptions, world: DevWorld): Promise<ExitCode> {
  const { terminal, clock, timers, interrupted } = world
  const complain = (line: string, exit: ExitCode) => {
    terminal.err(`${line}\n`)
    return exit
  }
  const port = wholeNumber(options.port, 0, 65_535)
  if (port === undefined) return complain(`--port ${options.port}: a number from 0 to 65535`, EXIT.usage)
  const witnessPort = options.witness === undefined ? undefined : wholeNumber(options.witness, 0, 65_535)
  if (options.witness !== undefined && witnessPort === undefined)
    return complain(`--witness ${options.witness}: a number from 0 to 65535`, EXIT.usage)
  const intervalMs = wholeNumber(options.interval, 10, 3_600_000)
  if (intervalMs === undefined) return complain(`--interval ${options.interval}: 10 to 3600000 ms`, EXIT.usage)
  const chosen = await genesisOf(options, clock)
  if (!chosen.ok) return complain(chosen.line, chosen.exit)

  const folder = options.data === undefined ? ok(undefined) : await openLedgerFolder(options.data, clock, chosen)
  if (!folder.ok) {
    const { fault } = folder
    return complain(faultLine(fault), /^(chain|genesis)\./.test(fault.code) ? EXIT.configuration : exitOf(fault))
  }
  const genesis = folder.value?.genesis ?? chosen.value
  if (namesAny(options) && !beganWith(genesis, chosen.value)) {
    await folder.value?.close()
    const hint = 'leave them out, and name them to `tieline-ledger enrol` once it runs'
    return complain(`--data ${options.data}: its ledger began without what is named here: ${hint}`, EXIT.configuration)
  }
  const signers = Array.from({ length: VALIDATORS }, (_, i) => createSigner(devSeed(options.seed, `validator ${i}`)))
  const onFault = (fault: Fault) => terminal.err(`no block: ${faultLine(fault)}\n`)
  const verifier = createVerifier()
  const store = folder.value === undefined ? {} : { store: folder.value.store }
  const cores = createVerifyPool(verifier)
  const producer = createProducer({ genesis, signers, clock, timers, verifier, cores, intervalMs, onFault, ...store })
  const onBug = (error: unknown) =>
    terminal.err(`a bug of tieline-ledger: ${String((error as Error).stack ?? error)}\n`)
  const serve = (at: number) =>
    serveHttp({
      port: at,
      routes: rpcRoutes(producer, timers),
      sockets: rpcSockets(producer, timers),
      bodyLimit: RPC_BODY_LIMIT,
      onBug,
    })
  const server = await serve(port)
  if (!server.ok) {
    await folder.value?.close()
    return complain(faultLine(server.fault), EXIT.unavailable)
  }
  const witness = witnessPort === undefined ? undefined : await serve(witnessPort)
  if (witness?.ok === false) {
    await server.value.close()
    await folder.value?.close()
    return complain(faultLine(witness.fault), EXIT.unavailable)
  }
  await producer.produce()
  producer.start()
  terminal.out(`${genesis.chainId} at ${server.value.url}, a block every ${intervalMs} ms; Ctrl-C ends it\n`)
  const first = await producer.fetchBlock(1n)
  if (first.ok && first.value !== undefined) {
    terminal.out(`trust: height 1, hash ${toHex(first.value.blockId.hash)}\n`)
  }
  if (witness !== undefined) terminal.out(`witness: ${witness.value.url}, which for once is the same node\n`)
  await interrupted
  await producer.stop()
  await witness?.value.close()
  await server.value.close()
  const { problems } = producer.audit()
  await folder.value?.close()
  for (const problem of problems) terminal.err(`${faultLine(problem)}\n`)
  return problems.length === 0 ? EXIT.ok : EXIT.no
}

type GenesisChoice =
  | { readonly ok: true; readonly value: Genesis; readonly named: boolean }
  | { readonly ok: false; readonly line: string; readonly exit: ExitCode }

/** The genesis of a file, or one of an operator, a few rich accounts, and the sites that were named. */
async function genesisOf(options: DevOptions, clock: Clock): Promise<GenesisChoice> {
  const { genesis: file, chain, seed } = options
  const misused = (line: string) => ({ ok: false, line, exit: EXIT.usage }) as const
  if (file !== undefined) {
    if (namesAny(options)) return misused('--account, --meter and --role go into the file of --genesis')
    const text = await readTextFile(file)
    if (!text.ok) return { ok: false, line: faultLine(text.fault), exit: EXIT.io }
    const parsed = parseGenesis(text.value)
    return parsed.ok
      ? { ...parsed, named: true }
      : { ok: false, line: `${file}: ${faultLine(parsed.fault)}`, exit: EXIT.configuration }
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/.test(chain))
    return misused(`--chain ${chain}: 1 to 50 letters, digits, dots, hyphens`)
  const named = readEnrolments(options)
  if (!named.ok) return misused(String(named.fault.hint))
  const keys = ['operator', ...Array.from({ length: DEV_ACCOUNTS }, (_, i) => `account ${i}`)].map(
    owner => devSigner(seed, owner).publicKey,
  )
  const operator = addressOf(keys[0]!)
  const accounts = keys.map((publicKey, i) => ({ publicKey, balance: i === 0 ? OPERATOR_BALANCE : DEV_BALANCE }))
  const value = checkGenesis(
    enrolIn(
      {
        chainId: chain,
        time: clock.now(),
        fee: DEV_FEE,
        feeAccount: operator,
        operator,
        accounts,
        meters: [],
      },
      named.value,
      DEV_BALANCE,
    ),
  )
  return value.ok ? { ...value, named: false } : misused(faultLine(value.fault))
}

/** Whether everything of `wanted` but its rules and its time stands in `had`. */
function beganWith(had: Genesis, wanted: Genesis): boolean {
  const texts = ({ accounts, meters, roles = [] }: Genesis) => [
    ...accounts.map(({ publicKey }) => toHex(publicKey)),
    ...meters.map(({ meterId, line, owner, publicKey }) => [meterId, line, toHex(owner), toHex(publicKey)].join(' ')),
    ...roles.map(({ role, holder }) => `${role} ${toHex(holder)}`),
  ]
  const all = new Set(texts(had))
  return texts(wanted).every(text => all.has(text))
}
