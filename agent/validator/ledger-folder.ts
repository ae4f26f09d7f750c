/** The folder of a ledger that one process makes: genesis, and what chain-store.ts keeps. */
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import type { Clock, Disk } from '../../drivers/ports.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { type ChainStore, openChainStore } from './chain-store.ts'
import { genesisJson, parseGenesis } from './genesis-json.ts'

const GENESIS = 'genesis.json'

interface LedgerFolder {
  /** With which the chain of this folder began. */
  readonly genesis: Genesis
  readonly store: ChainStore
  close(): Promise<void>
}

/** How a folder begins where nothing is in it. */
interface Beginning {
  readonly value: Genesis
  /** A person named it, and means no other. */
  readonly named: boolean
}

/**
 * The folder of one ledger, held by this process alone. What is there already counts, not what would be made; without a
 * beginning it has to be there.
 */
export async function openLedgerFolder(path: string, clock: Clock, chosen?: Beginning): Promise<Result<LedgerFolder>> {
  if (chosen === undefined) {
    const there = await readTextFile(`${path}/${GENESIS}`)
    if (!there.ok) return there
  }
  const root = await openDisk(path)
  if (!root.ok) return root
  const held = await root.value.hold('ledger')
  if (!held.ok) return held
  const disks: { close(): Promise<void> }[] = [root.value]
  const close = async () => {
    for (const disk of disks) await disk.close()
    await held.value()
  }
  const store = await (async () => {
    const genesis = await keptGenesis(root.value, chosen)
    if (!genesis.ok) return genesis
    const blocks = await openDisk(`${path}/blocks`)
    if (!blocks.ok) return blocks
    const state = await openDisk(`${path}/state`)
    if (!state.ok) return state
    disks.push(blocks.value, state.value)
    const ports = { root: root.value, blocks: blocks.value, state: state.value, clock, verifier: createVerifier() }
    const opened = await openChainStore(ports, genesis.value)
    if (!opened.ok) return opened
    disks.unshift(opened.value)
    return ok({ genesis: genesis.value, store: opened.value })
  })()
  if (store.ok) return ok({ ...store.value, close })
  await close()
  return store
}

async function keptGenesis(root: Disk, chosen: Beginning | undefined): Promise<Result<Genesis>> {
  const textOf = (genesis: Genesis) => JSON.stringify(genesisJson(genesis))
  const kept = await root.read(GENESIS)
  if (!kept.ok) {
    if (kept.fault.code !== 'disk.missing' || chosen === undefined) return kept
    const written = await root.replace(GENESIS, utf8(textOf(chosen.value)))
    return written.ok ? ok(chosen.value) : written
  }
  const parsed = parseGenesis(fromUtf8(kept.value) ?? '')
  if (!parsed.ok) return parsed
  if (chosen?.named === true && textOf(parsed.value) !== textOf(chosen.value)) {
    const hint = 'the folder holds a ledger that began otherwise: leave --genesis away or choose another folder'
    return fail({ code: 'chain.other-genesis', expected: chosen.value.chainId, found: parsed.value.chainId, hint })
  }
  return parsed
}
