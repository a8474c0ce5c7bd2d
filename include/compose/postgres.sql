-- The database that people seed; Airflow's own is made by the image.
CREATE DATABASE shop;
