/**
 * Frame counters of encrypted telegrams across restarts: what a meter sent before an orderly stop is not taken again behind
 * it. A power cut loses the last minute, in which the counters of energy in the journal are newer.
 */
import type { FrameCounter } from '../../drivers/meters/telegram-meter.ts'
import type { Cancel, Disk, Log, Timers } from '../../drivers/ports.ts'
import { createCache } from '../../drivers/store/cache.ts'
import { concat, toHex } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { TelegramKeys } from '../../protocol/telegram/telegram.ts'

export interface FrameCounters {
  /** What a meter by this name is to be given. With other keys than before it counts anew. */
  of(name: string, keys: TelegramKeys): Promise<KeptCounter>
  /** Saves the last ones. */
  close(): Promise<void>
}

export interface KeptCounter {
  readonly lastCounter?: FrameCounter
  readonly onCounter: (last: FrameCounter) => void
}

interface Entry extends FrameCounter {
  readonly keys: string
}

/** Flash is written so often; a meter counts up to once a second. */
const SAVE_MS = 60_000

export function createFrameCounters(disk: Disk, timers: Timers, log: Log): FrameCounters {
  const cache = createCache(disk, 'frame-counters.cbor', accept)
  let loading: Promise<Map<string, Entry>> | undefined
  let entries = new Map<string, Entry>()
  let changed = false
  let cancel: Cancel | undefined
  /** One at a time, and `close` waits for the last. */
  let saving = Promise.resolve()
  const save = (): Promise<void> => {
    saving = saving.then(saveNow)
    return saving
  }
  async function saveNow(): Promise<void> {
    if (!changed) return
    changed = false
    const saved = await cache.save(Object.fromEntries(entries))
    if (saved.ok) return
    changed = true
    log('warn', 'metering', 'frame counters are not kept', saved.fault)
  }
  return {
    of: async (name, { encryption, authentication }) => {
      // A site without such a meter has no such file, and nothing to save.
      cancel ??= timers.every(SAVE_MS, () => void save())
      loading ??= cache.load().then(kept => new Map(Object.entries(kept ?? {})))
      entries = await loading
      const none = new Uint8Array(0)
      const keys = toHex(sha256(concat(encryption ?? none, authentication ?? none)).subarray(0, 8))
      const entry = entries.get(name)
      return {
        ...(entry?.keys === keys ? { lastCounter: { meterId: entry.meterId, counter: entry.counter } } : {}),
        onCounter: last => {
          entries.set(name, { ...last, keys })
          changed = true
        },
      }
    },
    close: () => {
      cancel?.()
      return save()
    },
  }
}

function accept(value: unknown): Record<string, Entry> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const all = value as Record<string, Partial<Entry> | null>
  const isWhole = (one: Partial<Entry> | null) =>
    typeof one?.meterId === 'string' && typeof one.keys === 'string' && Number.isSafeInteger(one.counter)
  return Object.values(all).every(isWhole) ? (all as Record<string, Entry>) : undefined
}
