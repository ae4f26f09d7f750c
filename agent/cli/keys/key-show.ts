/** `tieline key show`: a site's public keys, how well each private half is kept, and which keys signed before. */
import { openFolder } from '../../../drivers/store/disk.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { parseKeyRecord } from '../../../protocol/identity/rotation.ts'
import { type Fault, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { isoTime } from '../../../protocol/time.ts'
import { KEY_KIND } from '../../keeping.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { entryJson, entryText } from './key-report.ts'
import { type KeySite, lookAtKeys, readKeySite } from './key-site.ts'

/** `insist` gives a token's PIN although the token warns that a wrong one was given before. */
export async function showKeys(file: string, json: boolean, insist: boolean, terminal: Terminal): Promise<ExitCode> {
  const site = await readKeySite(file, terminal, { insist })
  return typeof site === 'number' ? site : tellKeys(site, json, terminal)
}

/** Data on stdout; the exit code is that of the first key that cannot be opened, and 0 where all can. */
export async function tellKeys(site: KeySite, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const entries = await lookAtKeys(site)
  const history = await readKeyRecords(`${site.config.data}/journal`)
  const faults: Fault[] = entries.flatMap(entry => (entry.kind === 'unopened' ? [entry.fault] : []))
  if (!history.ok) faults.push(history.fault)
  const account = entries.find(entry => entry.use === 'account')
  const device = account?.kind === 'signing' ? toHex(ueidOf(account.key.signer.publicKey)) : undefined
  if (json) {
    terminal.out(
      jsonLine({
        ok: faults.length === 0,
        site: site.config.site,
        device: device ?? null,
        keys: entries.map(entryJson),
        history: history.ok ? history.value.map(({ said }) => said) : null,
        ...(history.ok ? {} : { fault: history.fault }),
      }),
    )
  } else {
    terminal.out(`${site.config.site}${device === undefined ? '' : `, device ${device}`}:\n`)
    for (const entry of entries) terminal.out(entryText(entry))
    for (const { text } of history.ok ? history.value : []) terminal.out(text)
    if (!history.ok) terminal.err(`what happened to the keys cannot be read: ${faultLine(history.fault)}\n`)
  }
  const [first] = faults
  return first === undefined ? EXIT.ok : exitOf(first)
}

interface KeyRecord {
  readonly said: object
  readonly text: string
}

/** What the journal says of keys, oldest first; nothing where there is no journal yet. The agent may go on beside this. */
async function readKeyRecords(folder: string): Promise<Result<readonly KeyRecord[]>> {
  const disk = await openFolder(folder)
  if (!disk.ok) return disk.fault.code === 'disk.missing' ? ok([]) : disk
  const reader = await openJournalReader(disk.value)
  if (!reader.ok) return reader.fault.code === 'journal.missing' ? ok([]) : reader
  const records: KeyRecord[] = []
  const visited = await reader.value.visit(({ kind, bytes }) => {
    if (kind === KEY_KIND) records.push(tell(bytes))
  })
  return visited.ok ? ok(records) : visited
}

function tell(bytes: Uint8Array): KeyRecord {
  const parsed = parseKeyRecord(bytes)
  const record = toHex(bytes)
  if (!parsed.ok) return { said: { ok: false, fault: parsed.fault, record }, text: `  ${faultLine(parsed.fault)}\n` }
  if (parsed.value.kind === 'revocation') {
    const { use, key, since, reason } = parsed.value.revocation
    return {
      said: { ok: true, what: 'revoked', use, key: toHex(key), since: isoTime(since), reason, record },
      text: `  ${use.padEnd(10)}${toHex(key)} revoked since ${isoTime(since)}: ${reason}\n`,
    }
  }
  const { use, number, before, key, trust, boot, time, reason } = parsed.value.statement
  return {
    said: {
      ok: true,
      what: 'rotated',
      use,
      number,
      before: toHex(before),
      key: toHex(key),
      trust,
      boot,
      time: isoTime(time),
      reason,
      record,
    },
    text: `  ${use.padEnd(10)}key ${number} from boot ${boot}, ${isoTime(time)}: ${reason}; before it ${toHex(before)}\n`,
  }
}
