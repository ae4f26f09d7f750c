#!/usr/bin/env node
/**
 * `npm run build`: TypeScript to plain JavaScript in dist/, and the page bundled beside it. The bench calls `buildPage`
 * to serve the page from a fresh checkout without a build. The one file that knows esbuild, and, as a program of the
 * developer's machine, the one outside drivers/ that may touch files and processes.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { PAGE_FILES, type PageFile } from '../../agent/web/page-files.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Bundles the page in memory. `minify` is for shipping: the bench starts sooner without. */
export async function buildPage(minify: boolean): Promise<readonly PageFile[]> {
  const folder = `${root}agent/web/page/`
  const { outputFiles } = await build({
    entryPoints: [`${folder}main.tsx`, `${folder}page.css`],
    entryNames: '[ext]',
    outdir: folder,
    bundle: true,
    write: false,
    minify,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'error',
    // The page's own tsconfig.json is for the type checker.
    tsconfigRaw: {},
  })
  const built = (ending: string) => outputFiles.find(file => file.path.endsWith(ending))!.contents
  const body: Readonly<Record<(typeof PAGE_FILES)[number]['file'], () => Uint8Array>> = {
    'page.html': () => readFileSync(`${folder}page.html`),
    'page.css': () => built('.css'),
    'page.js': () => built('.js'),
  }
  return PAGE_FILES.map(({ path, file, contentType }) => ({ path, contentType, body: body[file]() }))
}

/** What the page costs on the wire, in bytes. */
export const gzippedSize = (page: readonly PageFile[]): number =>
  page.reduce((sum, { body }) => sum + gzipSync(body, { level: 9 }).length, 0)

/** Programs in dist/ that a shell starts by name: package.json's `bin`. */
const programs = (): readonly string[] =>
  Object.values((JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { bin: Record<string, string> }).bin)

async function buildAll(): Promise<number> {
  rmSync(`${root}dist`, { recursive: true, force: true })
  const tsc = spawnSync(
    process.execPath,
    [`${root}node_modules/typescript/bin/tsc`, '-p', 'hw/image/tsconfig.build.json'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  )
  if (tsc.status !== 0) return 1
  const page = await buildPage(true)
  mkdirSync(`${root}dist/agent/web/page`, { recursive: true })
  for (const [index, { file }] of PAGE_FILES.entries()) {
    writeFileSync(`${root}dist/agent/web/page/${file}`, page[index]!.body)
  }
  const made = programs().filter(program => {
    try {
      chmodSync(`${root}${program}`, 0o755)
      return true
    } catch {
      process.stderr.write(`${program} is named in package.json's bin, but was not built\n`)
      return false
    }
  })
  process.stderr.write(`built ${made.join(', ')} and the page (${(gzippedSize(page) / 1000).toFixed(1)} kB gzipped)\n`)
  return made.length === programs().length ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await buildAll()
