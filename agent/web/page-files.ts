/** The page's three files: built beforehand and read from disk, or built in memory by hw/image. */
import { readTextFile } from '../../drivers/text-file.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface PageFile {
  readonly path: string
  readonly contentType: string
  readonly body: Uint8Array
}

/** Where each file is served and what it is called on disk. */
export const PAGE_FILES = [
  { path: '/', file: 'page.html', contentType: 'text/html; charset=utf-8' },
  { path: '/page.css', file: 'page.css', contentType: 'text/css; charset=utf-8' },
  { path: '/page.js', file: 'page.js', contentType: 'text/javascript; charset=utf-8' },
] as const

/** Reads a built page; `folder` ends with a slash. */
export async function readPageFiles(folder: string): Promise<Result<readonly PageFile[]>> {
  const files: PageFile[] = []
  for (const { path, file, contentType } of PAGE_FILES) {
    const text = await readTextFile(folder + file)
    if (!text.ok) return text
    files.push({ path, contentType, body: utf8(text.value) })
  }
  return ok(files)
}

/** Beside this file in what was built, and under dist/ in a checkout that the agent is run from. */
const BUILT = [new URL('page/', import.meta.url), new URL('../../dist/agent/web/page/', import.meta.url)]

/** `page.not-built` where neither place has the whole page. */
export async function readBuiltPage(): Promise<Result<readonly PageFile[]>> {
  for (const { pathname } of BUILT) {
    const files = await readPageFiles(pathname)
    if (files.ok) return files
  }
  return fail({ code: 'page.not-built', hint: 'run npm run build in the checkout; the page opens by itself then' })
}
