/**
 * The configuration over HTTP, as it stands in its file:
 *
 *     GET  /api/config                          {file, version, text, writable, why?, settings, mistakes?}; of each setting
 *                                               `editable` says whether POST takes another value for it
 *     POST /api/config {version, edits: [{path: ["trade", "slot"], value: "30s" | null}]}
 *                                               200 {version, restart: true}; 409 where the file is another by now;
 *                                               422 {mistakes}; 403 and 503 with the reason. Only 200 wrote anything.
 *
 * Whoever may write it could trade away the household's money, so it is written only where a password or token is asked for;
 * and what names files of the machine or says who may come in is set in the file alone: a stolen session must not choose
 * which library the agent loads.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { mayWrite, writeWholeFile } from '../../drivers/whole-file.ts'
import { fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Edit, editConfig } from '../config/edit.ts'
import type { ConfigFault } from '../config/read-form.ts'
import { listSettings } from '../config/settings.ts'
import type { ConfigSaid, Mistake } from './answers.ts'

/** A page of settings; each is one line. */
const EDITS_MOST = 200
const PATH_MOST = 8
const VALUE_MOST = 1000

/** Beside those, `site`: by that name its data, its journal and its neighbours know it. */
const FILE_ONLY: ReadonlySet<string> = new Set([
  ...['version', 'site', 'bench', 'data', 'keys', 'board', 'page', 'broker_tls'],
])
const FILE_KEYS = /^(ca|cert|key|.*_file)$/

/** The one rule of what is listed as changeable and what is changed. */
const isEditable = (path: Edit['path']): boolean => !FILE_ONLY.has(String(path[0])) && !path.some(isFileKey)

/** Of a group below: a meter's, a peer's; also under names of the person's own choice, where it does no harm. */
function isFileKey(part: string | number, index: number): boolean {
  return index > 0 && typeof part === 'string' && FILE_KEYS.test(part)
}

/** `guarded` where the server asks who comes. */
export function configRoutes(file: string, guarded: boolean): Readonly<Record<string, Handler>> {
  /** One edit at a time: two that read the same text must not both write. */
  let turn: Promise<unknown> = Promise.resolve()
  return {
    'GET /api/config': async () => {
      const text = await readTextFile(file)
      if (!text.ok) return refusal(503, text.fault)
      const listed = listSettings(text.value, file)
      const why = await whyNot(file, guarded)
      const settings = listed.ok ? listed.value : []
      const value: ConfigSaid = {
        ...{ file, version: versionOf(text.value), text: text.value, writable: why === undefined },
        ...(why === undefined ? {} : { why }),
        settings: settings.map(setting => ({ ...setting, editable: isEditable(setting.path) })),
        ...(listed.ok ? {} : { mistakes: listed.faults.map(told) }),
      }
      return json(200, value)
    },
    'POST /api/config': ({ body, local }) => {
      const answer = turn.then(() => (local === true ? change(file, guarded, body) : refusal(403, NOT_ALLOWED)))
      turn = answer.catch(() => {})
      return answer
    },
  }
}

const NOT_ALLOWED: Fault = { code: 'config.not-allowed', hint: 'settings are sent as JSON, by whom the page knows' }

async function change(file: string, guarded: boolean, body: Uint8Array): Promise<HttpReply> {
  const asked = parse(body)
  if (asked === undefined) return refusal(400, { code: 'config.misshapen', wanted: 'version, edits' })
  const why = await whyNot(file, guarded)
  if (why !== undefined) return refusal(why.code === 'config.unguarded' ? 403 : 503, why)
  const fixed = asked.edits.find(({ path }) => !isEditable(path))
  if (fixed !== undefined) {
    return refusal(403, { code: 'config.file-only', setting: fixed.path.join('.'), hint: `edit ${file} itself` })
  }
  const text = await readTextFile(file)
  if (!text.ok) return refusal(503, text.fault)
  const version = versionOf(text.value)
  if (asked.version !== version) return refusal(409, { code: 'config.changed', version, hint: 'read it again' })
  const edited = editConfig(text.value, asked.edits, file)
  if (!edited.ok) return json(422, { mistakes: edited.faults.map(told) })
  const written = await writeWholeFile(file, edited.value)
  return written.ok ? json(200, { version: versionOf(edited.value), restart: true }) : refusal(503, written.fault)
}

async function whyNot(file: string, guarded: boolean): Promise<Fault | undefined> {
  if (!guarded) {
    return { code: 'config.unguarded', hint: 'set a password first: tieline password, and page.password_file' }
  }
  const may = await mayWrite(file)
  return may ? undefined : { code: 'config.unwritable', file, hint: 'the agent may not write in its folder' }
}

const versionOf = (text: string): string => toHex(sha256(utf8(text)))

const told = ({ file: _, ...mistake }: ConfigFault): Mistake => mistake
const json = (status: number, value: unknown): HttpReply => ({ kind: 'json', status, value })
const refusal = (status: number, fault: Fault): HttpReply => json(status, fault)

function parse(body: Uint8Array): { readonly version: string; readonly edits: readonly Edit[] } | undefined {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(body) ?? '')
  } catch {
    // A stranger's text.
    return undefined
  }
  if (!isRecord(value) || Object.keys(value).sort().join() !== 'edits,version') return undefined
  const { version, edits } = value
  if (typeof version !== 'string' || !Array.isArray(edits) || edits.length === 0 || edits.length > EDITS_MOST)
    return undefined
  return edits.every(isEdit) ? { version, edits } : undefined
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isEdit = (value: unknown): value is Edit =>
  isRecord(value) &&
  Object.keys(value).sort().join() === 'path,value' &&
  (value['value'] === null || isText(value['value'])) &&
  Array.isArray(value['path']) &&
  value['path'].length > 0 &&
  value['path'].length <= PATH_MOST &&
  value['path'].every(part => isText(part) || (Number.isInteger(part) && Number(part) >= 0))

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= VALUE_MOST
