"""Auth plugins: log sessions in and recognize refusals."""
