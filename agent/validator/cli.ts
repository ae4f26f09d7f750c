/** The `tieline-ledger` command: a ledger on one machine for development, and the audit of one that runs. */

import type { Clock, Timers } from '../../drivers/ports.ts'
import type { Audit } from '../../protocol/ledger/audit.ts'
import { faultLine, type Result } from '../../protocol/result.ts'
import { type Command, carryOut, program } from '../cli/commander.ts'
import { EXIT, type ExitCode } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { sayVersion } from '../cli/version.ts'
import { type AbciOptions, type InitOptions, runAbci, runInit } from './abci-cli.ts'
import { type DevOptions, runDev } from './dev.ts'
import { DEFAULT_SEED } from './dev-keys.ts'
import { type EnrolOptions, runEnrol } from './enrol.ts'
import { enrolmentOptions } from './enrolments.ts'
import { type ExportOptions, runExport } from './export-cli.ts'
import { fetchAudit } from './fetch-audit.ts'

/** What the commands use of the machine, and the moment at which somebody wants them to end. */
interface LedgerWorld {
  readonly terminal: Terminal
  readonly clock: Clock
  readonly timers: Timers
  readonly interrupted: Promise<void>
}

/** CometBFT's own RPC port. */
const DEFAULT_PORT = 26657
const DEFAULT_CHAIN = 'tieline-dev-1'
/** Of a fresh network, as `dev` has it. */
const VALIDATORS = 4

export async function tielineLedger(args: readonly string[], world: LedgerWorld): Promise<ExitCode> {
  const { terminal } = world
  const version = sayVersion('tieline-ledger', args, terminal)
  if (version !== undefined) return version
  let exit: ExitCode = EXIT.ok
  const root = program('tieline-ledger', terminal).description(
    'The ledger of Tieline: run one for development, audit or export one that runs.',
  )
  const add = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal)
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
    root.addCommand(command)
    return command
  }

  enrolmentOptions(
    add('dev', 'Run a ledger with all its validators in this process, until Ctrl-C. Its keys are no secret.', [
      'tieline-ledger dev',
      'tieline-ledger dev --port 26700 --chain street-1 --interval 500',
      'tieline-ledger dev --genesis genesis.json --data ledger',
      `tieline-ledger dev --account 6f1a... --meter 41000777:feeder-3:6f1a...:90c4...      as \`tieline key show --enrol\` prints them`,
    ]),
  )
    .option('--port <number>', 'where its RPC listens on 127.0.0.1; 0 takes any free port', String(DEFAULT_PORT))
    .option('--chain <id>', 'chain id of a ledger without --genesis', DEFAULT_CHAIN)
    .option('--interval <ms>', 'milliseconds between blocks', '1000')
    .option('--seed <text>', 'what validator and account keys are made from', DEFAULT_SEED)
    .option('--genesis <file>', 'accounts and meters to begin with, as /genesis shows them')
    .option('--witness <port>', 'also listen there, for trials of sites that ask a witness; 0 takes any free port')
    .option('--data <folder>', 'where the chain is kept; without it, it is gone at the end')
    .action(async (options: DevOptions) => {
      exit = await runDev(options, world)
    })

  add('audit', "Fetch a ledger's whole state, check it against its AppHash and add up every coin and watt-hour.", [
    `tieline-ledger audit http://127.0.0.1:${DEFAULT_PORT}`,
    `tieline-ledger audit http://127.0.0.1:${DEFAULT_PORT} --json | jq .money.residue`,
  ])
    .argument('<url>', "the node's RPC")
    .option('--json', 'one JSON object on stdout')
    .action(async (url: string, options: { json?: true }) => {
      exit = await runAudit(url, options.json === true, terminal)
    })

  add('export', "Write a ledger's whole state as JSON lines, checked against the AppHash of the chain.", [
    `tieline-ledger export http://127.0.0.1:${DEFAULT_PORT} --out state.jsonl`,
    'tieline-ledger export --data ledger | jq -r .key',
  ])
    .argument('[url]', "a node's RPC")
    .option('--data <folder>', 'instead of a node: the folder of `dev --data`, with nobody using it')
    .option('--out <file>', 'where to; no file is overwritten; without it, to stdout')
    .action(async (url: string | undefined, options: ExportOptions) => {
      exit = await runExport(url, options, world)
    })

  add('abci', 'Serve the ledger to the CometBFT node beside it (ABCI 2.0 over a socket), until Ctrl-C.', [
    'tieline-ledger abci --listen unix:///run/tieline/abci.sock --data /var/lib/tieline/ledger',
    'tieline-ledger abci --listen tcp://127.0.0.1:26658 --data ledger --snapshot-interval 0',
  ])
    .requiredOption('--listen <address>', 'where its node finds it: unix://PATH or tcp://HOST:PORT')
    .requiredOption('--data <folder>', 'where state and snapshots are kept')
    .option('--snapshot-interval <blocks>', 'blocks between snapshots for nodes that start fresh; 0 makes none', '1000')
    .action(async (options: AbciOptions) => {
      exit = await runAbci(options, world)
    })

  enrolmentOptions(
    add('enrol', "Have a running ledger's operator open accounts, enrol meters and grant roles; what is there stays.", [
      `tieline-ledger enrol http://127.0.0.1:${DEFAULT_PORT} --account 6f1a... --meter 41000777:feeder-3:6f1a...:90c4...`,
      `tieline-ledger enrol http://127.0.0.1:${DEFAULT_PORT} --role regulator:6f1a... --operator network/operator_key.json`,
    ]),
  )
    .argument('<url>', "a node's RPC")
    .option('--coins <coins>', 'what each new account gets of the operator’s', '1000')
    .option('--operator <file>', "the operator's key, as `init` wrote it; without it that of `dev`, made from its seed")
    .option('--seed <text>', 'the seed of that `dev`', DEFAULT_SEED)
    .option('--json', 'one JSON object on stdout')
    .action(async (url: string, options: EnrolOptions) => {
      exit = await runEnrol(url, options, world)
    })

  enrolmentOptions(
    add('init', "Write a fresh network's files for CometBFT: keys, genesis and configuration of each node.", [
      'tieline-ledger init network --validators 4 --chain street-1',
      'tieline-ledger init network --hosts 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4',
    ]),
  )
    .argument('<folder>', 'where to; no file there is overwritten')
    .option('--validators <number>', 'how many nodes', String(VALIDATORS))
    .option('--chain <id>', 'chain id of a ledger without --genesis', 'tieline-1')
    .option('--interval <ms>', 'milliseconds between a commit and the next proposal', '1000')
    .option('--hosts <list>', 'where each node runs; else all on this machine')
    .option('--base-port <port>', 'first port: p2p, then RPC and application above it', '26656')
    .option('--genesis <file>', 'accounts and meters to begin with, as /genesis shows them')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string, options: InitOptions) => {
      exit = await runInit(folder, options, world)
    })

  if (args.length === 0) {
    terminal.err(root.helpInformation())
    return EXIT.usage
  }
  return (await carryOut(root, args)) ?? exit
}

const COIN = 1_000_000n
const coins = (micro: bigint): string => {
  const size = micro < 0n ? -micro : micro
  return `${micro < 0n ? '-' : ''}${size / COIN}.${String(size % COIN).padStart(6, '0')}`
}

async function runAudit(url: string, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const found: Result<Audit> = URL.canParse(url)
    ? await fetchAudit(url)
    : { ok: false, fault: { code: 'audit.url', url, hint: 'give it as http://127.0.0.1:26657' } }
  if (!found.ok) {
    if (json) terminal.out(`${plainJson({ ok: false, fault: found.fault })}\n`)
    else terminal.err(`${faultLine(found.fault)}\n`)
    return found.fault.code === 'audit.url'
      ? EXIT.usage
      : found.fault.code === 'audit.app-hash' || found.fault.code === 'audit.key-twice'
        ? EXIT.no
        : EXIT.unavailable
  }
  const { height, money, deals, energy, problems } = found.value
  if (json) {
    const { sellerMetered: seller_metered, buyerMetered: buyer_metered, ...rest } = energy
    const energy_wh = { ...rest, seller_metered, buyer_metered }
    terminal.out(`${plainJson({ ok: problems.length === 0, height, money, deals, energy_wh, problems })}\n`)
  } else {
    terminal.out(
      `${[
        `height ${height}`,
        `money   minted ${coins(money.minted)}  balances ${coins(money.balances)}  escrowed ${coins(money.escrowed)}  staked ${coins(money.staked)}  unbonding ${coins(money.unbonding)}  reserved ${coins(money.reserved)}  deposited ${coins(money.deposited)}  coined ${coins(money.coined)}  residue ${coins(money.residue)}`,
        `deals   locked ${deals.locked}  settled ${deals.settled} (${deals.disputed} disputed)  refunded ${deals.refunded}`,
        `energy  contracted ${energy.contracted} Wh  seller ${energy.sellerMetered}  buyer ${energy.buyerMetered}  settled ${energy.settled}`,
        problems.length === 0 ? 'everything adds up' : `${problems.length} problems:`,
        ...problems.map(faultLine),
      ].join('\n')}\n`,
    )
  }
  return problems.length === 0 ? EXIT.ok : EXIT.no
}

/** Money and energy are whole numbers: as JSON numbers where a double holds them, else as strings. */
const plainJson = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item !== 'bigint' ? item : Number.isSafeInteger(Number(item)) ? Number(item) : String(item),
  )
