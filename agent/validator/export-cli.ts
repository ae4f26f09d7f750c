/** `tieline-ledger export`: a whole state as JSON lines, checked against the AppHash that the chain has for it. */
import type { Clock } from '../../drivers/ports.ts'
import { writeNewTextFile } from '../../drivers/text-file.ts'
import { toHex } from '../../protocol/bytes.ts'
import { readEntry } from '../../protocol/ledger/state.ts'
import { fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { EXIT, type ExitCode, exitOf } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { fetchState, type WholeState } from './fetch-audit.ts'
import { openLedgerFolder } from './ledger-folder.ts'

export interface ExportOptions {
  readonly data?: string
  readonly out?: string
}

/** Lines that are handed on at once. */
const LINES = 1000

/**
 * The first line is the chain, the height and the AppHash; then each key of the state in the order of the hashed keys,
 * its record for people and its bytes for machines.
 */
export async function runExport(
  url: string | undefined,
  options: ExportOptions,
  { terminal, clock }: { readonly terminal: Terminal; readonly clock: Clock },
): Promise<ExitCode> {
  const complain = (line: string, exit: ExitCode) => {
    terminal.err(`${line}\n`)
    return exit
  }
  const { data, out } = options
  if ((url === undefined) === (data === undefined))
    return complain('export takes a URL or --data, one of them', EXIT.usage)
  if (url !== undefined && !URL.canParse(url)) return complain(`${url}: give it as http://127.0.0.1:26657`, EXIT.usage)
  const write = async (state: WholeState): Promise<Result<void>> => {
    if (out !== undefined) return writeNewTextFile(out, pieces(state))
    for (const piece of pieces(state)) terminal.out(piece)
    return ok(undefined)
  }
  const written = url === undefined ? await fromFolder(data!, clock, write) : await fromNode(url, write)
  if (written.ok) return EXIT.ok
  const { fault } = written
  const isFalse = fault.code === 'audit.app-hash' || fault.code === 'audit.key-twice'
  return complain(faultLine(fault), isFalse ? EXIT.no : exitOf(fault))
}

type Write = (state: WholeState) => Promise<Result<void>>

async function fromNode(url: string, write: Write): Promise<Result<void>> {
  const state = await fetchState(url)
  return state.ok ? write(state.value) : state
}

/** Opening the folder compares the state with the newest block that is kept. */
async function fromFolder(path: string, clock: Clock, write: Write): Promise<Result<void>> {
  const folder = await openLedgerFolder(path, clock)
  if (!folder.ok) return folder
  const { chainId, height, appHash, entries } = folder.value.store.app
  const state = entries(height)
  const written =
    state === undefined
      ? fail({ code: 'audit.no-state', node: path, height })
      : await write({ chainId, height, appHash, entries: state })
  await folder.value.close()
  return written
}

function* pieces({ chainId, height, appHash, entries }: WholeState): Generator<string> {
  let lines = [plain({ chain_id: chainId, height, app_hash: appHash })]
  for (const [key, value] of entries) {
    const entry = readEntry(key, value)
    lines.push(entry.ok ? plain({ key: entry.value.key, record: entry.value.value, value }) : plain({ key, value }))
    if (lines.length < LINES) continue
    yield `${lines.join('\n')}\n`
    lines = []
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`
}

/** Bytes in hex, whole numbers beyond a double in strings. */
const plain = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'bigint' ? String(item) : item instanceof Uint8Array ? toHex(item) : item,
  )
