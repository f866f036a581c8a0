import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// All paths are relative, so that a proxy may serve the dashboard below any path.
export default defineConfig({
  base: './',
  plugins: [react()],
  server: { proxy: { '/graphql': 'http://127.0.0.1:8080' } },
  build: {
    outDir: 'build',
    target: ['chrome111', 'firefox114', 'safari16.4'],
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: '[name]-[hash].js', chunkFileNames: '[name]-[hash].js', assetFileNames: '[name]-[hash][extname]' },
    },
  },
});
